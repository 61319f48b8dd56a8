locals {
  authorization_type = one(compact([
    var.auth.jwt != null ? "JWT" : "",
    var.auth.iam != null ? "AWS_IAM" : "",
    var.auth.lambda != null ? "CUSTOM" : "",
    var.auth.public != null ? "NONE" : "",
  ]))
  authorizer_id = one(concat(aws_apigatewayv2_authorizer.jwt[*].id, aws_apigatewayv2_authorizer.lambda[*].id))

  # The gateway waits a second longer than the function may run, so that the function's own time-out is what callers and logs see.
  integration_timeout_ms = min(var.function.timeout_seconds + 1, 30) * 1000
}

resource "aws_apigatewayv2_api" "this" {
  name          = var.name
  description   = var.auth.public == null ? "HTTP API ${var.name}" : "HTTP API ${var.name}, public: ${var.auth.public.reason}"
  protocol_type = "HTTP"

  # With a domain of its own, the API's default endpoint would be a way round its certificate, firewall or mTLS.
  disable_execute_api_endpoint = var.api.domain == null ? false : !var.api.domain.keep_default_endpoint

  dynamic "cors_configuration" {
    for_each = var.api.cors == null ? [] : [var.api.cors]

    content {
      allow_credentials = cors_configuration.value.allow_credentials
      allow_headers     = cors_configuration.value.allow_headers
      allow_methods     = cors_configuration.value.allow_methods
      allow_origins     = cors_configuration.value.allow_origins
      expose_headers    = cors_configuration.value.expose_headers
      max_age           = cors_configuration.value.max_age_seconds
    }
  }

  tags = var.tags
}

resource "aws_apigatewayv2_authorizer" "jwt" {
  count = var.auth.jwt == null ? 0 : 1

  api_id           = aws_apigatewayv2_api.this.id
  name             = "jwt"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = var.auth.jwt.issuer
    audience = var.auth.jwt.audience
  }
}

resource "aws_apigatewayv2_authorizer" "lambda" {
  count = var.auth.lambda == null ? 0 : 1

  api_id                            = aws_apigatewayv2_api.this.id
  name                              = "lambda"
  authorizer_type                   = "REQUEST"
  authorizer_uri                    = "arn:${local.partition}:apigateway:${local.region}:lambda:path/2015-03-31/functions/${var.auth.lambda.function_arn}/invocations"
  authorizer_payload_format_version = "2.0"
  authorizer_result_ttl_in_seconds  = var.auth.lambda.ttl_seconds
  enable_simple_responses           = true
  identity_sources                  = var.auth.lambda.identity_sources
}

resource "aws_lambda_permission" "authorizer" {
  count = var.auth.lambda == null ? 0 : 1

  statement_id  = "${var.name}-authorizer"
  action        = "lambda:InvokeFunction"
  function_name = var.auth.lambda.function_arn
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.lambda[0].id}"
}

resource "aws_apigatewayv2_integration" "live" {
  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_alias.live.invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = local.integration_timeout_ms
}

# One route for every path and method: which exist is the application's to say.
resource "aws_apigatewayv2_route" "default" {
  #checkov:skip=CKV_AWS_309:An API is open only where auth.public.reason says why, in ten characters or more
  api_id               = aws_apigatewayv2_api.this.id
  route_key            = "$default"
  target               = "integrations/${aws_apigatewayv2_integration.live.id}"
  authorization_type   = local.authorization_type
  authorization_scopes = try(var.auth.jwt.scopes, null)
  authorizer_id        = local.authorizer_id
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format          = jsonencode(local.access_log_fields)
  }

  default_route_settings {
    detailed_metrics_enabled = true
    throttling_burst_limit   = var.api.throttle.burst
    throttling_rate_limit    = var.api.throttle.rate_per_second
  }

  dynamic "route_settings" {
    for_each = { for key, route in var.routes : key => route.throttle if route.throttle != null }

    content {
      route_key                = route_settings.key
      detailed_metrics_enabled = true
      throttling_burst_limit   = route_settings.value.burst
      throttling_rate_limit    = route_settings.value.rate_per_second
    }
  }

  tags = var.tags

  # A stage deployed before its route would answer 404 for a while, and settings of a route that is not there are refused.
  depends_on = [aws_apigatewayv2_route.default, aws_apigatewayv2_route.this]
}

# One statement for the whole API: the alias's policy holds 20 KB in all.
resource "aws_lambda_permission" "api" {
  statement_id  = "api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_alias.live.name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/*"
}
