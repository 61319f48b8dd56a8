# Routes of their own, each an exception from $default: other auth, other throttle, or an old function that still serves it.
locals {
  route_keys  = nonsensitive([for key, route in var.routes : key if route != null])
  legacy_keys = [for key in local.route_keys : key if nonsensitive(var.routes[key].legacy != null)]
  route_types = { for key in local.route_keys : key => (
    nonsensitive(var.routes[key].auth == null) ? local.authorization_type :
    nonsensitive(var.routes[key].auth.public != null) ? "NONE" :
    nonsensitive(var.routes[key].auth.iam != null) ? "AWS_IAM" : "JWT"
  ) }

  # With api.cors the gateway answers preflights, which carry no credentials, but only where no route asks for some first, as
  # $default and ANY routes do. So each of these has an open OPTIONS route beside it; {proxy+} does not match the root.
  guarded = [for key, type in merge({ "$default" = local.authorization_type }, local.route_types) : key if local.cors && type != "NONE"]
  # By key without the names of path variables: paths that differ in these alone are the same.
  path_variable = "/{[^}+]+/"
  preflight_forms = { for route in concat(
    [for key in local.guarded : { key = replace(key, "/^ANY /", "OPTIONS "), like = key } if startswith(key, "ANY ")],
    [for path in ["/", "/{proxy+}"] : { key = "OPTIONS ${path}", like = "$default" } if contains(local.guarded, "$default")],
  ) : replace(route.key, local.path_variable, "{") => route... }
  preflights = { for form, routes in local.preflight_forms : routes[0].key => routes[0].like
  if !contains([for key in local.route_keys : replace(key, local.path_variable, "{")], form) }

  # Each route's kind of auth, and the entry whose function serves it.
  routes = merge(
    { for key, type in local.route_types : key => { type = type, like = key } },
    { for key, like in local.preflights : key => { type = "NONE", like = like } },
  )
}

# By route and not by function, so that a function made in the same apply, of unknown ARN, will do.
resource "aws_apigatewayv2_integration" "legacy" {
  #checkov:skip=CKV_LCA_11:An old function is invoked as before the migration, through its alias only if it has one
  for_each = toset(local.legacy_keys)

  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = replace(var.routes[each.key].legacy.function_arn, local.function_arn, local.function_uri)
  payload_format_version = var.routes[each.key].legacy.payload_format_version

  # Another function is called only once it may be.
  depends_on = [aws_lambda_permission.legacy]

  lifecycle {
    # It goes once its route has moved: API Gateway deletes none that a route names.
    create_before_destroy = true

    precondition {
      condition     = startswith(var.routes[each.key].legacy.function_arn, "${local.lambda_arn_prefix}:")
      error_message = "routes: legacy.function_arn must begin with ${local.lambda_arn_prefix}:, as the API's own functions do: API Gateway calls none of another region, and only its own account may write a function's resource policy."
    }
  }
}

resource "aws_lambda_permission" "legacy" {
  for_each = toset(local.legacy_keys)

  # The API's id tells a replaced API's statement from the one before, which is still there then.
  statement_id  = "${var.name}-${substr(sha256("${aws_apigatewayv2_api.this.id} ${each.key}"), 0, 12)}"
  action        = "lambda:InvokeFunction"
  function_name = join(":", slice(split(":", var.routes[each.key].legacy.function_arn), 0, 7))
  qualifier     = try(split(":", var.routes[each.key].legacy.function_arn)[7], null)
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/${replace(replace(replace(each.key, "/^ANY /", "*"), " ", ""), "/{[^}]+}/", "*")}"

  lifecycle {
    # It goes once its route has moved, which nobody could call otherwise.
    create_before_destroy = true
    # A name is no reason to replace it; what is replaced for another has the new one.
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

  # A route goes to a function only once the gateway may call it.
  depends_on = [aws_lambda_permission.api, aws_lambda_permission.legacy]
}
