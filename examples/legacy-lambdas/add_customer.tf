resource "terraform_data" "add_customer_package" {
  triggers_replace = { for file in fileset("${path.module}/functions/AddCustomer", "*.*") : file => filesha256("${path.module}/functions/AddCustomer/${file}") }

  provisioner "local-exec" {
    command     = "python3 package.py AddCustomer"
    working_dir = path.module
  }
}

resource "aws_iam_role" "add_customer" {
  name = "${var.prefix}-AddCustomer"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "add_customer" {
  name = "add-customer"
  role = aws_iam_role.add_customer.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "*"
      },
      {
        Effect   = "Allow"
        Action   = ["dynamodb:PutItem"]
        Resource = aws_dynamodb_table.customers.arn
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "add_customer" {
  name              = "/aws/lambda/${var.prefix}-AddCustomer"
  retention_in_days = 7
}

resource "aws_lambda_function" "add_customer" {
  function_name    = "${var.prefix}-AddCustomer"
  role             = aws_iam_role.add_customer.arn
  runtime          = "python3.11"
  handler          = "AddCustomer.handler"
  filename         = "${path.module}/build/AddCustomer.zip"
  source_code_hash = base64sha256(jsonencode(terraform_data.add_customer_package.triggers_replace))
  timeout          = 10
  memory_size      = 256

  environment {
    variables = {
      ISSUER          = var.issuer
      KEYS_URL        = local.keys_url
      CUSTOMERS_TABLE = aws_dynamodb_table.customers.name
    }
  }

  depends_on = [terraform_data.add_customer_package, aws_cloudwatch_log_group.add_customer, aws_iam_role_policy.add_customer]
}

resource "aws_api_gateway_method" "add_customer" {
  rest_api_id   = aws_api_gateway_rest_api.people.id
  resource_id   = aws_api_gateway_resource.customers.id
  http_method   = "POST"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "add_customer" {
  rest_api_id             = aws_api_gateway_rest_api.people.id
  resource_id             = aws_api_gateway_resource.customers.id
  http_method             = aws_api_gateway_method.add_customer.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.add_customer.invoke_arn
}

resource "aws_lambda_permission" "add_customer" {
  statement_id  = "AllowAPIGateway"
  function_name = aws_lambda_function.add_customer.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.people.execution_arn}/*/*"
}
