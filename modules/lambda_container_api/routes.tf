# Routes of their own, each an exception from $default: other auth, other throttle, or an old function that still serves it.
locals {
  legacy_routes = { for key, route in var.routes : key => route.legacy if route.legacy != null }

  route_auth = { for key, route in var.routes : key => (
    route.auth == null ? { type = local.authorization_type, scopes = try(var.auth.jwt.scopes, null) } :
    route.auth.public != null ? { type = "NONE", scopes = null } :
    route.auth.iam != null ? { type = "AWS_IAM", scopes = null } :
    { type = "JWT", scopes = route.auth.scopes }
  ) }
}

# By route and not by function, so that a function made in the same apply, of unknown ARN, will do.
resource "aws_apigatewayv2_integration" "legacy" {
  #checkov:skip=CKV_LCA_11:An old function is called as it was before the migration, through its alias only if it has one
  for_each = local.legacy_routes

  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = "arn:${local.partition}:apigateway:${local.region}:lambda:path/2015-03-31/functions/${each.value.function_arn}/invocations"
  payload_format_version = each.value.payload_format_version
}

resource "aws_lambda_permission" "legacy" {
  for_each = local.legacy_routes

  statement_id  = "${var.name}-${substr(sha256(each.key), 0, 12)}"
  action        = "lambda:InvokeFunction"
  function_name = join(":", slice(split(":", each.value.function_arn), 0, 7))
  qualifier     = try(split(":", each.value.function_arn)[7], null)
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/${replace(replace(replace(each.key, "/^ANY /", "*"), " ", ""), "/{[^}]+}/", "*")}"
}

resource "aws_apigatewayv2_route" "this" {
  #checkov:skip=CKV_AWS_309:A route is open only where auth.public.reason says why, in ten characters or more
  #checkov:skip=CKV_LCA_15:Its own auth.public.reason says why, in ten characters or more; the description is the whole API's
  for_each = var.routes

  api_id    = aws_apigatewayv2_api.this.id
  route_key = each.key
  target = join("/", ["integrations", (
    each.value.legacy == null ? aws_apigatewayv2_integration.live.id : aws_apigatewayv2_integration.legacy[each.key].id
  )])

  authorization_type   = local.route_auth[each.key].type
  authorization_scopes = local.route_auth[each.key].scopes
  authorizer_id        = contains(["JWT", "CUSTOM"], local.route_auth[each.key].type) ? local.authorizer_id : null

  # A route goes to a function only once the gateway may call it.
  depends_on = [aws_lambda_permission.api, aws_lambda_permission.legacy]
}
