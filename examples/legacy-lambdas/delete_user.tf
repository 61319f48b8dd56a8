resource "terraform_data" "delete_user_package" {
  triggers_replace = { for file in fileset("${path.module}/functions/DeleteUser", "*.*") : file => filesha256("${path.module}/functions/DeleteUser/${file}") }

  provisioner "local-exec" {
    command     = "python3 package.py DeleteUser"
    working_dir = path.module
  }
}

resource "aws_iam_role" "delete_user" {
  name = "${var.prefix}-DeleteUser"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "delete_user" {
  name = "delete-user"
  role = aws_iam_role.delete_user.id

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

resource "aws_cloudwatch_log_group" "delete_user" {
  name = "/aws/lambda/${var.prefix}-DeleteUser"
}

resource "aws_lambda_function" "delete_user" {
  function_name    = "${var.prefix}-DeleteUser"
  role             = aws_iam_role.delete_user.arn
  runtime          = "python3.12"
  handler          = "DeleteUser.handler"
  filename         = "${path.module}/build/DeleteUser.zip"
  source_code_hash = base64sha256(jsonencode(terraform_data.delete_user_package.triggers_replace))
  timeout          = 10
  memory_size      = 128

  environment {
    variables = {
      ISSUER   = var.issuer
      KEYS_URL = local.keys_url
      TABLE    = aws_dynamodb_table.users.name
    }
  }

  depends_on = [terraform_data.delete_user_package, aws_cloudwatch_log_group.delete_user, aws_iam_role_policy.delete_user]
}

resource "aws_api_gateway_method" "delete_user" {
  rest_api_id   = aws_api_gateway_rest_api.people.id
  resource_id   = aws_api_gateway_resource.user.id
  http_method   = "DELETE"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "delete_user" {
  rest_api_id             = aws_api_gateway_rest_api.people.id
  resource_id             = aws_api_gateway_resource.user.id
  http_method             = aws_api_gateway_method.delete_user.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.delete_user.invoke_arn
}

resource "aws_lambda_permission" "delete_user" {
  statement_id  = "AllowAPIGateway"
  function_name = aws_lambda_function.delete_user.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.people.execution_arn}/*/*"
}
