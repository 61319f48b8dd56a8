resource "terraform_data" "get_user_package" {
  triggers_replace = { for file in fileset("${path.module}/functions/GetUser", "*.*") : file => filesha256("${path.module}/functions/GetUser/${file}") }

  provisioner "local-exec" {
    command     = "python3 package.py GetUser"
    working_dir = path.module
  }
}

resource "aws_iam_role" "get_user" {
  name = "${var.prefix}-GetUser"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "get_user" {
  name = "get-user"
  role = aws_iam_role.get_user.id

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
        Action   = ["dynamodb:GetItem"]
        Resource = aws_dynamodb_table.users.arn
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "get_user" {
  name              = "/aws/lambda/${var.prefix}-GetUser"
  retention_in_days = 14
}

resource "aws_lambda_function" "get_user" {
  function_name    = "${var.prefix}-GetUser"
  role             = aws_iam_role.get_user.arn
  runtime          = "python3.12"
  handler          = "GetUser.handler"
  filename         = "${path.module}/build/GetUser.zip"
  source_code_hash = base64sha256(jsonencode(terraform_data.get_user_package.triggers_replace))
  timeout          = 10
  memory_size      = 128

  environment {
    variables = {
      ISSUER     = var.issuer
      KEYS_URL   = local.keys_url
      TABLE_NAME = aws_dynamodb_table.users.name
    }
  }

  depends_on = [terraform_data.get_user_package, aws_cloudwatch_log_group.get_user, aws_iam_role_policy.get_user]
}

resource "aws_api_gateway_method" "get_user" {
  rest_api_id   = aws_api_gateway_rest_api.people.id
  resource_id   = aws_api_gateway_resource.user.id
  http_method   = "GET"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "get_user" {
  rest_api_id             = aws_api_gateway_rest_api.people.id
  resource_id             = aws_api_gateway_resource.user.id
  http_method             = aws_api_gateway_method.get_user.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.get_user.invoke_arn
}

resource "aws_lambda_permission" "get_user" {
  statement_id  = "AllowAPIGateway"
  function_name = aws_lambda_function.get_user.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.people.execution_arn}/*/*"
}

# Keeps one environment warm.
resource "aws_cloudwatch_event_rule" "get_user_warm" {
  name                = "${var.prefix}-GetUser-warm"
  schedule_expression = "rate(5 minutes)"
}

resource "aws_cloudwatch_event_target" "get_user_warm" {
  rule  = aws_cloudwatch_event_rule.get_user_warm.name
  arn   = aws_lambda_function.get_user.arn
  input = jsonencode({ warmup = true })
}

resource "aws_lambda_permission" "get_user_warm" {
  statement_id  = "AllowWarmup"
  function_name = aws_lambda_function.get_user.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.get_user_warm.arn
}
