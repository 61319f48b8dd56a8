resource "terraform_data" "get_customer_package" {
  triggers_replace = { for file in fileset("${path.module}/functions/GetCustomer", "*.*") : file => filesha256("${path.module}/functions/GetCustomer/${file}") }

  provisioner "local-exec" {
    command     = "python3 package.py GetCustomer"
    working_dir = path.module
  }
}

resource "aws_iam_role" "get_customer" {
  name = "${var.prefix}-GetCustomer"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "get_customer" {
  name = "get-customer"
  role = aws_iam_role.get_customer.id

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

resource "aws_cloudwatch_log_group" "get_customer" {
  name = "/aws/lambda/${var.prefix}-GetCustomer"
}

resource "aws_lambda_function" "get_customer" {
  function_name    = "${var.prefix}-GetCustomer"
  role             = aws_iam_role.get_customer.arn
  runtime          = "python3.11"
  handler          = "GetCustomer.handler"
  filename         = "${path.module}/build/GetCustomer.zip"
  source_code_hash = base64sha256(jsonencode(terraform_data.get_customer_package.triggers_replace))
  timeout          = 3
  memory_size      = 128

  environment {
    variables = {
      ISSUER     = var.issuer
      KEYS_URL   = local.keys_url
      TABLE_NAME = aws_dynamodb_table.customers.name
    }
  }

  depends_on = [terraform_data.get_customer_package, aws_cloudwatch_log_group.get_customer, aws_iam_role_policy.get_customer]
}

resource "aws_api_gateway_method" "get_customer" {
  rest_api_id   = aws_api_gateway_rest_api.people.id
  resource_id   = aws_api_gateway_resource.customer.id
  http_method   = "GET"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "get_customer" {
  rest_api_id             = aws_api_gateway_rest_api.people.id
  resource_id             = aws_api_gateway_resource.customer.id
  http_method             = aws_api_gateway_method.get_customer.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.get_customer.invoke_arn
}

resource "aws_lambda_permission" "get_customer" {
  statement_id  = "AllowAPIGateway"
  function_name = aws_lambda_function.get_customer.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.people.execution_arn}/*/*"
}

# Keeps one environment warm.
resource "aws_cloudwatch_event_rule" "get_customer_warm" {
  name                = "${var.prefix}-GetCustomer-warm"
  schedule_expression = "rate(5 minutes)"
}

resource "aws_cloudwatch_event_target" "get_customer_warm" {
  rule  = aws_cloudwatch_event_rule.get_customer_warm.name
  arn   = aws_lambda_function.get_customer.arn
  input = jsonencode({ warmup = true })
}

resource "aws_lambda_permission" "get_customer_warm" {
  statement_id  = "AllowWarmup"
  function_name = aws_lambda_function.get_customer.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.get_customer_warm.arn
}
