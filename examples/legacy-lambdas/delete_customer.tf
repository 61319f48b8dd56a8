resource "terraform_data" "delete_customer_package" {
  triggers_replace = { for file in fileset("${path.module}/functions/DeleteCustomer", "*.*") : file => filesha256("${path.module}/functions/DeleteCustomer/${file}") }

  provisioner "local-exec" {
    command     = "python3 package.py DeleteCustomer"
    working_dir = path.module
  }
}

resource "aws_iam_role" "delete_customer" {
  name = "${var.prefix}-DeleteCustomer"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "delete_customer" {
  name = "delete-customer"
  role = aws_iam_role.delete_customer.id

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

resource "aws_cloudwatch_log_group" "delete_customer" {
  name              = "/aws/lambda/${var.prefix}-DeleteCustomer"
  retention_in_days = 7
}

resource "aws_lambda_function" "delete_customer" {
  function_name    = "${var.prefix}-DeleteCustomer"
  role             = aws_iam_role.delete_customer.arn
  runtime          = "python3.11"
  handler          = "DeleteCustomer.handler"
  filename         = "${path.module}/build/DeleteCustomer.zip"
  source_code_hash = base64sha256(jsonencode(terraform_data.delete_customer_package.triggers_replace))
  timeout          = 10
  memory_size      = 128

  environment {
    variables = {
      ISSUER          = var.issuer
      KEYS_URL        = local.keys_url
      CUSTOMERS_TABLE = aws_dynamodb_table.customers.name
    }
  }

  depends_on = [terraform_data.delete_customer_package, aws_cloudwatch_log_group.delete_customer, aws_iam_role_policy.delete_customer]
}

resource "aws_api_gateway_method" "delete_customer" {
  rest_api_id   = aws_api_gateway_rest_api.people.id
  resource_id   = aws_api_gateway_resource.customer.id
  http_method   = "DELETE"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "delete_customer" {
  rest_api_id             = aws_api_gateway_rest_api.people.id
  resource_id             = aws_api_gateway_resource.customer.id
  http_method             = aws_api_gateway_method.delete_customer.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.delete_customer.invoke_arn
}

resource "aws_lambda_permission" "delete_customer" {
  statement_id  = "AllowAPIGateway"
  function_name = aws_lambda_function.delete_customer.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.people.execution_arn}/*/*"
}
