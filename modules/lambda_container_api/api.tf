locals {
  # Only whether an object is set decides which instances exist: its values may be sensitive, or unknown until apply.
  cors        = nonsensitive(var.api.cors != null)
  jwt_auth    = nonsensitive(var.auth.jwt != null)
  lambda_auth = nonsensitive(var.auth.lambda != null)

  authorization_type = local.jwt_auth ? "JWT" : local.lambda_auth ? "CUSTOM" : nonsensitive(var.auth.iam != null) ? "AWS_IAM" : "NONE"
  authorizer_id      = one(concat(aws_apigatewayv2_authorizer.jwt[*].id, aws_apigatewayv2_authorizer.lambda[*].id))

  # A function's ARN, and the URI by which API Gateway invokes it. Partition and region are the function's.
  function_arn = "/^arn:([^:]+):lambda:([^:]+):.+$/"
  function_uri = "arn:$1:apigateway:$2:lambda:path/2015-03-31/functions/$0/invocations"

  # The gateway waits a second longer than the function may run, so that clients and logs see the function's own time-out.
  integration_timeout_ms = min(var.function.timeout_seconds + 1, 30) * 1000
}

resource "aws_apigatewayv2_api" "this" {
  name          = var.name
  description   = var.auth.public == null ? "HTTP API ${var.name}" : "HTTP API ${var.name}, public: ${var.auth.public.reason}"
  protocol_type = "HTTP"

  # With a domain of its own, the API's default endpoint would bypass its certificate, firewall or mTLS.
  disable_execute_api_endpoint = var.api.domain == null ? false : !var.api.domain.keep_default_endpoint

  dynamic "cors_configuration" {
    for_each = local.cors ? ["this"] : []

    content {
      allow_credentials = var.api.cors.allow_credentials
      allow_headers     = compact(var.api.cors.allow_headers)
      allow_methods     = compact(var.api.cors.allow_methods)
      allow_origins     = compact(var.api.cors.allow_origins)
      expose_headers    = compact(var.api.cors.expose_headers)
      max_age           = var.api.cors.max_age_seconds
    }
  }

  tags = var.tags
}

# Authorizers are created before their routes change and deleted after: API Gateway deletes none that a route refers to.
resource "aws_apigatewayv2_authorizer" "jwt" {
  count = local.jwt_auth ? 1 : 0

  api_id           = aws_apigatewayv2_api.this.id
  name             = "jwt"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = var.auth.jwt.issuer
    audience = compact(var.auth.jwt.audience)
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_apigatewayv2_authorizer" "lambda" {
  count = local.lambda_auth ? 1 : 0

  api_id                            = aws_apigatewayv2_api.this.id
  name                              = "lambda"
  authorizer_type                   = "REQUEST"
  authorizer_uri                    = replace(var.auth.lambda.function_arn, local.function_arn, local.function_uri)
  authorizer_payload_format_version = "2.0"
  authorizer_result_ttl_in_seconds  = var.auth.lambda.ttl_seconds
  enable_simple_responses           = true
  identity_sources                  = compact(var.auth.lambda.identity_sources)

  # A function has its permission before the authorizer names it, and keeps it until the authorizer names another.
  depends_on = [aws_lambda_permission.authorizer]

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = startswith(var.auth.lambda.function_arn, "${local.lambda_arn_prefix}:")
      error_message = "auth.lambda.function_arn must begin with ${local.lambda_arn_prefix}:, the API's own region and account: API Gateway invokes no function of another region, and only its own account may change a function's resource policy."
    }
  }
}

# For any authorizer of this API, since there is at most one: so the permission does not depend on the authorizer's ID.
resource "aws_lambda_permission" "authorizer" {
  count = local.lambda_auth ? 1 : 0

  # The API's ID distinguishes a new API's statement from the replaced API's, which still exists then.
  statement_id  = "${var.name}-authorizer-${aws_apigatewayv2_api.this.id}"
  action        = "lambda:InvokeFunction"
  function_name = join(":", slice(split(":", var.auth.lambda.function_arn), 0, 7))
  qualifier     = try(split(":", var.auth.lambda.function_arn)[7], null)
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/authorizers/*"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_apigatewayv2_integration" "live" {
  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_alias.live.invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = local.integration_timeout_ms
}

# One route for every path and method: the application decides which exist.
resource "aws_apigatewayv2_route" "default" {
  #checkov:skip=CKV_AWS_309:An API is public only where auth.public.reason says why, in ten characters or more
  api_id               = aws_apigatewayv2_api.this.id
  route_key            = "$default"
  target               = "integrations/${aws_apigatewayv2_integration.live.id}"
  authorization_type   = local.authorization_type
  authorization_scopes = local.jwt_auth ? compact(var.auth.jwt.scopes) : null
  authorizer_id        = local.authorizer_id

  lifecycle {
    precondition {
      condition     = length(local.routes) <= 299
      error_message = "routes must leave room for the ${length(local.preflights)} OPTIONS routes that api.cors needs with auth: API Gateway's quota is 300 routes per API, $default included, and this API would have ${length(local.routes) + 1}. Each ANY route with auth needs one."
    }
  }
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
    for_each = toset([for key in local.route_keys : key if nonsensitive(var.routes[key].throttle != null)])

    content {
      route_key                = route_settings.value
      detailed_metrics_enabled = true
      throttling_burst_limit   = var.routes[route_settings.value].throttle.burst
      throttling_rate_limit    = var.routes[route_settings.value].throttle.rate_per_second
    }
  }

  tags = var.tags

  # A stage deployed before its route would return 404 for a while, and settings of a missing route are rejected.
  depends_on = [aws_apigatewayv2_route.default, aws_apigatewayv2_route.this]
}

# One statement for the whole API: the alias's policy is limited to 20 KB.
resource "aws_lambda_permission" "api" {
  statement_id  = "api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_alias.live.name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/*"

  # A replaced function or alias loses its policy, which no attribute of this resource shows.
  lifecycle {
    replace_triggered_by = [aws_lambda_function.this.arn, aws_lambda_alias.live.arn]
  }
}
