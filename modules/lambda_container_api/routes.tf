# Exceptions to $default: routes with their own auth or throttle, or that an old function still serves.
locals {
  route_keys  = nonsensitive([for key, route in var.routes : key if route != null])
  legacy_keys = [for key in local.route_keys : key if nonsensitive(var.routes[key].legacy != null)]
  route_types = { for key in local.route_keys : key => (
    nonsensitive(var.routes[key].auth == null) ? local.authorization_type :
    nonsensitive(var.routes[key].auth.public != null) ? "NONE" :
    nonsensitive(var.routes[key].auth.iam != null) ? "AWS_IAM" : "JWT"
  ) }

  # With api.cors the gateway responds to preflights, which carry no credentials, unless a matching route requires some, as
  # $default and ANY routes with auth do. So each of these gets a public OPTIONS route. {proxy+} does not match the root.
  with_auth = [for key, type in merge({ "$default" = local.authorization_type }, local.route_types) : key if local.cors && type != "NONE"]
  # By key without the names of path variables: paths that differ only in these are the same path.
  path_variable = "/{[^}+]+/"
  preflight_forms = { for route in concat(
    [for key in local.with_auth : { key = replace(key, "/^ANY /", "OPTIONS "), like = key } if startswith(key, "ANY ")],
    [for path in ["/", "/{proxy+}"] : { key = "OPTIONS ${path}", like = "$default" } if contains(local.with_auth, "$default")],
  ) : replace(route.key, local.path_variable, "{") => route... }
  preflights = { for form, routes in local.preflight_forms : routes[0].key => routes[0].like
  if !contains([for key in local.route_keys : replace(key, local.path_variable, "{")], form) }

  # Each route's authorization type, and the entry whose function serves it.
  routes = merge(
    { for key, type in local.route_types : key => { type = type, like = key } },
    { for key, like in local.preflights : key => { type = "NONE", like = like } },
  )
}

# By route and not by function, so that a function may be created in the same apply, with an unknown ARN.
resource "aws_apigatewayv2_integration" "legacy" {
  #checkov:skip=CKV_LCA_11:An old function is invoked as before the migration, through its alias only if it has one
  for_each = toset(local.legacy_keys)

  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = replace(var.routes[each.key].legacy.function_arn, local.function_arn, local.function_uri)
  payload_format_version = var.routes[each.key].legacy.payload_format_version

  # Permission first, then the call.
  depends_on = [aws_lambda_permission.legacy]

  lifecycle {
    # Deleted after its route has moved: API Gateway deletes none that a route refers to.
    create_before_destroy = true

    precondition {
      condition     = startswith(var.routes[each.key].legacy.function_arn, "${local.lambda_arn_prefix}:")
      error_message = "routes: legacy.function_arn must begin with ${local.lambda_arn_prefix}:, the API's own region and account: API Gateway invokes no function of another region, and only its own account may change a function's resource policy."
    }
  }
}

resource "aws_lambda_permission" "legacy" {
  for_each = toset(local.legacy_keys)

  # The API's ID distinguishes a new API's statement from the replaced API's, which still exists then.
  statement_id  = "${var.name}-${substr(sha256("${aws_apigatewayv2_api.this.id} ${each.key}"), 0, 12)}"
  action        = "lambda:InvokeFunction"
  function_name = join(":", slice(split(":", var.routes[each.key].legacy.function_arn), 0, 7))
  qualifier     = try(split(":", var.routes[each.key].legacy.function_arn)[7], null)
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/${replace(replace(replace(each.key, "/^ANY /", "*"), " ", ""), "/{[^}]+}/", "*")}"

  lifecycle {
    # Deleted after its route has moved, which would fail without it.
    create_before_destroy = true
    # A new statement ID alone must not replace it. A replacement for another reason gets the new ID.
    ignore_changes = [statement_id]
  }
}

resource "aws_apigatewayv2_route" "this" {
  #checkov:skip=CKV_AWS_309:A route is public only where auth.public.reason says why, in ten characters or more, or for browsers' preflights
  #checkov:skip=CKV_LCA_15:Its own auth.public.reason says why, in ten characters or more, or it is for browsers' preflights; the description is the whole API's
  for_each = local.routes

  api_id    = aws_apigatewayv2_api.this.id
  route_key = each.key
  target = join("/", ["integrations", (
    contains(local.legacy_keys, each.value.like) ? aws_apigatewayv2_integration.legacy[each.value.like].id : aws_apigatewayv2_integration.live.id
  )])

  authorization_type   = each.value.type
  authorization_scopes = each.value.type == "JWT" ? try(compact(var.routes[each.key].auth.scopes), compact(var.auth.jwt.scopes)) : null
  authorizer_id        = contains(["JWT", "CUSTOM"], each.value.type) ? local.authorizer_id : null

  # The gateway needs its permission before a route points at the function.
  depends_on = [aws_lambda_permission.api, aws_lambda_permission.legacy]
}
