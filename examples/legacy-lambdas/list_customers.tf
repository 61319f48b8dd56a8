resource "terraform_data" "list_customers_package" {
  triggers_replace = { for file in fileset("${path.module}/functions/ListCustomers", "*.*") : file => filesha256("${path.module}/functions/ListCustomers/${file}") }

  provisioner "local-exec" {
    command     = "python3 package.py ListCustomers"
    working_dir = path.module
  }
}

resource "aws_iam_role" "list_customers" {
  name = "${var.prefix}-ListCustomers"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "list_customers" {
  name = "list-customers"
  role = aws_iam_role.list_customers.id

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

resource "aws_cloudwatch_log_group" "list_customers" {
  name = "/aws/lambda/${var.prefix}-ListCustomers"
}

resource "aws_lambda_function" "list_customers" {
  function_name    = "${var.prefix}-ListCustomers"
  role             = aws_iam_role.list_customers.arn
  runtime          = "python3.11"
  handler          = "ListCustomers.handler"
  filename         = "${path.module}/build/ListCustomers.zip"
  source_code_hash = base64sha256(jsonencode(terraform_data.list_customers_package.triggers_replace))
  timeout          = 30
  memory_size      = 512

  environment {
    variables = {
      ISSUER          = var.issuer
      KEYS_URL        = local.keys_url
      CUSTOMERS_TABLE = aws_dynamodb_table.customers.name
      LOG_LEVEL       = "DEBUG"
    }
  }

  depends_on = [terraform_data.list_customers_package, aws_cloudwatch_log_group.list_customers, aws_iam_role_policy.list_customers]
}

resource "aws_api_gateway_method" "list_customers" {
  rest_api_id   = aws_api_gateway_rest_api.people.id
  resource_id   = aws_api_gateway_resource.customers.id
  http_method   = "GET"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "list_customers" {
  rest_api_id             = aws_api_gateway_rest_api.people.id
  resource_id             = aws_api_gateway_resource.customers.id
  http_method             = aws_api_gateway_method.list_customers.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.list_customers.invoke_arn
}

resource "aws_lambda_permission" "list_customers" {
  statement_id  = "AllowAPIGateway"
  function_name = aws_lambda_function.list_customers.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.people.execution_arn}/*/*"
}
