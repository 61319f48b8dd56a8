resource "terraform_data" "list_users_package" {
  triggers_replace = { for file in fileset("${path.module}/functions/ListUsers", "*.*") : file => filesha256("${path.module}/functions/ListUsers/${file}") }

  provisioner "local-exec" {
    command     = "python3 package.py ListUsers"
    working_dir = path.module
  }
}

resource "aws_iam_role" "list_users" {
  name = "${var.prefix}-ListUsers"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "list_users" {
  name = "list-users"
  role = aws_iam_role.list_users.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:*"]
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

resource "aws_cloudwatch_log_group" "list_users" {
  name              = "/aws/lambda/${var.prefix}-ListUsers"
  retention_in_days = 30
}

resource "aws_lambda_function" "list_users" {
  function_name    = "${var.prefix}-ListUsers"
  role             = aws_iam_role.list_users.arn
  runtime          = "python3.12"
  handler          = "ListUsers.handler"
  filename         = "${path.module}/build/ListUsers.zip"
  source_code_hash = base64sha256(jsonencode(terraform_data.list_users_package.triggers_replace))
  timeout          = 60
  memory_size      = 512

  environment {
    variables = {
      ISSUER      = var.issuer
      KEYS_URL    = local.keys_url
      USERS_TABLE = aws_dynamodb_table.users.name
    }
  }

  depends_on = [terraform_data.list_users_package, aws_cloudwatch_log_group.list_users, aws_iam_role_policy.list_users]
}

resource "aws_api_gateway_method" "list_users" {
  rest_api_id   = aws_api_gateway_rest_api.people.id
  resource_id   = aws_api_gateway_resource.users.id
  http_method   = "GET"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "list_users" {
  rest_api_id             = aws_api_gateway_rest_api.people.id
  resource_id             = aws_api_gateway_resource.users.id
  http_method             = aws_api_gateway_method.list_users.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.list_users.invoke_arn
}

resource "aws_lambda_permission" "list_users" {
  statement_id  = "AllowAPIGateway"
  function_name = aws_lambda_function.list_users.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.people.execution_arn}/*/*"
}
