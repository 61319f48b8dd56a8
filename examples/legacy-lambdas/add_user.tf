resource "terraform_data" "add_user_package" {
  triggers_replace = { for file in fileset("${path.module}/functions/AddUser", "*.*") : file => filesha256("${path.module}/functions/AddUser/${file}") }

  provisioner "local-exec" {
    command     = "python3 package.py AddUser"
    working_dir = path.module
  }
}

resource "aws_iam_role" "add_user" {
  name = "${var.prefix}-AddUser"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "add_user" {
  name = "add-user"
  role = aws_iam_role.add_user.id

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

resource "aws_cloudwatch_log_group" "add_user" {
  name              = "/aws/lambda/${var.prefix}-AddUser"
  retention_in_days = 14
}

resource "aws_lambda_function" "add_user" {
  function_name    = "${var.prefix}-AddUser"
  role             = aws_iam_role.add_user.arn
  runtime          = "python3.12"
  handler          = "AddUser.handler"
  filename         = "${path.module}/build/AddUser.zip"
  source_code_hash = base64sha256(jsonencode(terraform_data.add_user_package.triggers_replace))
  timeout          = 10
  memory_size      = 256

  environment {
    variables = {
      ISSUER     = var.issuer
      KEYS_URL   = local.keys_url
      TABLE_NAME = aws_dynamodb_table.users.name
      LOG_LEVEL  = "INFO"
    }
  }

  depends_on = [terraform_data.add_user_package, aws_cloudwatch_log_group.add_user, aws_iam_role_policy.add_user]
}

resource "aws_api_gateway_method" "add_user" {
  rest_api_id   = aws_api_gateway_rest_api.people.id
  resource_id   = aws_api_gateway_resource.users.id
  http_method   = "POST"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "add_user" {
  rest_api_id             = aws_api_gateway_rest_api.people.id
  resource_id             = aws_api_gateway_resource.users.id
  http_method             = aws_api_gateway_method.add_user.http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = aws_lambda_function.add_user.invoke_arn
}

resource "aws_lambda_permission" "add_user" {
  statement_id  = "AllowAPIGateway"
  function_name = aws_lambda_function.add_user.function_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.people.execution_arn}/*/*"
}
