resource "terraform_data" "update_customer_package" {
  triggers_replace = { for file in fileset("${path.module}/functions/UpdateCustomer", "*.*") : file => filesha256("${path.module}/functions/UpdateCustomer/${file}") }

  provisioner "local-exec" {
    command     = "python3 package.py UpdateCustomer"
    working_dir = path.module
  }
}

resource "aws_iam_role" "update_customer" {
  name = "${var.prefix}-UpdateCustomer"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "update_customer" {
  name = "update-customer"
  role = aws_iam_role.update_customer.id

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
        Action   = ["dynamodb:*"]
        Resource = aws_dynamodb_table.customers.arn
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "update_customer" {
  name              = "/aws/lambda/${var.prefix}-UpdateCustomer"
  retention_in_days = 7
}

resource "aws_lambda_function" "update_customer" {
  function_name    = "${var.prefix}-UpdateCustomer"
  role             = aws_iam_role.update_customer.arn
  runtime          = "python3.12"
  handler          = "UpdateCustomer.handler"
  filename         = "${path.module}/build/UpdateCustomer.zip"
  source_code_hash = base64sha256(jsonencode(terraform_data.update_customer_package.triggers_replace))
  timeout          = 10
  memory_size      = 256

  environment {
    variables = {
      ISSUER          = var.issuer
      KEYS_URL        = local.keys_url
      CUSTOMERS_TABLE = aws_dynamodb_table.customers.name
    }
  }

  depends_on = [terraform_data.update_customer_package, aws_cloudwatch_log_group.update_customer, aws_iam_role_policy.update_customer]
}

resource "aws_api_gateway_method" "update_customer" {
  rest_api_id   = aws_api_gateway_rest_api.people.id
  resource_id   = aws_api_gateway_resource.customer.id
  http_method   = "PUT"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "update_customer" {
  rest_api_id             = aws_api_gateway_rest_api.people.id
  resource_id             = aws_api_gateway_resource.customer.id
  http_method             = aws_api_gateway_method.update_customer.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.update_customer.invoke_arn
}

resource "aws_lambda_permission" "update_customer" {
  statement_id  = "AllowAPIGateway"
  function_name = aws_lambda_function.update_customer.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.people.execution_arn}/*/*"
}
