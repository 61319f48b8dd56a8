resource "terraform_data" "update_user_package" {
  triggers_replace = { for file in fileset("${path.module}/functions/UpdateUser", "*.*") : file => filesha256("${path.module}/functions/UpdateUser/${file}") }

  provisioner "local-exec" {
    command     = "python3 package.py UpdateUser"
    working_dir = path.module
  }
}

resource "aws_iam_role" "update_user" {
  name = "${var.prefix}-UpdateUser"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "update_user" {
  name = "update-user"
  role = aws_iam_role.update_user.id

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
        Resource = aws_dynamodb_table.users.arn
      },
    ]
  })
}

resource "aws_cloudwatch_log_group" "update_user" {
  name              = "/aws/lambda/${var.prefix}-UpdateUser"
  retention_in_days = 14
}

resource "aws_lambda_function" "update_user" {
  function_name    = "${var.prefix}-UpdateUser"
  role             = aws_iam_role.update_user.arn
  runtime          = "python3.12"
  handler          = "UpdateUser.handler"
  filename         = "${path.module}/build/UpdateUser.zip"
  source_code_hash = base64sha256(jsonencode(terraform_data.update_user_package.triggers_replace))
  timeout          = 15
  memory_size      = 256

  environment {
    variables = {
      ISSUER     = var.issuer
      KEYS_URL   = local.keys_url
      TABLE_NAME = aws_dynamodb_table.users.name
      LOG_LEVEL  = "INFO"
    }
  }

  depends_on = [terraform_data.update_user_package, aws_cloudwatch_log_group.update_user, aws_iam_role_policy.update_user]
}

resource "aws_api_gateway_method" "update_user" {
  rest_api_id   = aws_api_gateway_rest_api.people.id
  resource_id   = aws_api_gateway_resource.user.id
  http_method   = "PUT"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "update_user" {
  rest_api_id             = aws_api_gateway_rest_api.people.id
  resource_id             = aws_api_gateway_resource.user.id
  http_method             = aws_api_gateway_method.update_user.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.update_user.invoke_arn
}

resource "aws_lambda_permission" "update_user" {
  statement_id  = "AllowAPIGateway"
  function_name = aws_lambda_function.update_user.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.people.execution_arn}/*/*"
}
