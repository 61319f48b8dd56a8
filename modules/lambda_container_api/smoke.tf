# The smoke requests to each version before it takes traffic, and their responses.
locals {
  smoke = var.release.smoke
  # As clients send it. A wildcard domain gets a label that nobody uses; without a domain it is the API's own endpoint.
  smoke_host = (
    local.smoke.host != null ? local.smoke.host :
    var.api.domain != null ? replace(var.api.domain.name, "*", "release-gate") :
    replace(aws_apigatewayv2_api.this.api_endpoint, "/^.*:///", "")
  )
  smoke_requests = [for request in concat([local.smoke], [for other in local.smoke.also : other if other != null]) : {
    body     = request.body
    contains = request.contains
    method   = request.method
    path     = request.path
    query    = { for name, value in request.query : name => value if value != null }
    status   = request.status
    # API Gateway sends header names in lower case. The first two come from the client, so they can be overridden.
    headers = merge(
      { accept = "*/*", user-agent = "lambda_container_api/release-gate" },
      request.body == null ? {} : { content-type = "application/json" },
      [for headers in [local.smoke.headers, request.headers] : { for name, value in headers : lower(name) => value if value != null }]...
    )
  }]

  # The whole event of API Gateway, payload 2.0: adapters and applications may read any of it. Its time is fixed, or each plan would invoke again.
  smoke_events = [for request in local.smoke_requests : {
    version        = "2.0"
    routeKey       = "$default"
    rawPath        = request.path
    rawQueryString = join("&", [for name, value in request.query : "${urlencode(name)}=${urlencode(value)}"])
    cookies        = try([for cookie in split(";", request.headers["cookie"]) : trimspace(cookie)], null)
    headers = merge({ for name, value in request.headers : name => value if name != "cookie" }, {
      content-length    = tostring(request.body == null ? 0 : floor(length(trim(base64encode(request.body), "=")) * 3 / 4))
      host              = local.smoke_host
      x-amzn-trace-id   = "Root=1-67748580-000000000000000000000000"
      x-forwarded-for   = "127.0.0.1"
      x-forwarded-port  = "443"
      x-forwarded-proto = "https"
    })
    queryStringParameters = length(request.query) == 0 ? null : request.query
    requestContext = {
      accountId    = local.account_id
      apiId        = "release-gate"
      domainName   = local.smoke_host
      domainPrefix = split(".", local.smoke_host)[0]
      http = {
        method    = request.method
        path      = request.path
        protocol  = "HTTP/1.1"
        sourceIp  = "127.0.0.1"
        userAgent = request.headers["user-agent"]
      }
      requestId = "release-gate"
      routeKey  = "$default"
      stage     = "$default"
      time      = "01/Jan/2025:00:00:00 +0000"
      timeEpoch = 1735689600000
    }
    body = request.body
  }]
  # Bodies of all other types are base64. AWS does not document the list; github.com/ministackorg/ministack/pull/766 tested AWS.
  smoke_texts = [for event in local.smoke_events : event.body == null ? true : can(regex(
    "^(text/|application/(json|javascript|xml) *(;|$))", lower(event.headers["content-type"])
  ))]
  smoke_inputs = [for i, event in local.smoke_events : jsonencode({ for key, value in merge(event, {
    body            = local.smoke_texts[i] ? event.body : base64encode(event.body)
    isBase64Encoded = !local.smoke_texts[i]
  }) : key => value if value != null })]

  # Every request to every version. The first one's key is the version's name alone.
  smoke_invocations = merge([for name in nonsensitive(keys(local.gated_versions)) : {
    for i in range(nonsensitive(length(local.smoke_requests))) : i == 0 ? name : "${name}-${i}" => { name = name, request = i }
  }]...)
  smoke_results = { for key, invocation in aws_lambda_invocation.smoke : key => try(jsondecode(invocation.result), null) }
  # What a client would get. API Gateway returns a result without statusCode as a 200; the gate does so only with `contains`, since
  # the function may be no web application at all.
  smoke_responses = { for key, result in local.smoke_results : key => {
    request = local.smoke_requests[local.smoke_invocations[key].request]
    version = local.gated_versions[local.smoke_invocations[key].name]
    status = (
      can(result.statusCode) ? try(tonumber(result.statusCode), null) :
      nonsensitive(local.smoke_requests[local.smoke_invocations[key].request].contains == null) ? null : 200
    )
    body = (
      !can(result.statusCode) ? aws_lambda_invocation.smoke[key].result :
      try(result.isBase64Encoded, false) == true ? try(base64decode(result.body), "bytes that are not UTF-8 text") :
      try(result.body == null ? "" : tostring(result.body), jsonencode(result.body), "")
    )
  } }
  smoke_passed = { for key, response in local.smoke_responses : key => nonsensitive(
    response.status == response.request.status && (response.request.contains == null ? true : strcontains(response.body, response.request.contains))
  ) }
  # Secrets in a request must not hide the rest of the message.
  smoke_labels = { for key, response in local.smoke_responses : key => join("", [for part in [
    "version ", response.version, ": ", response.request.method, " ", response.request.path, ", expected status ", response.request.status,
    nonsensitive(response.request.contains == null) ? "" : " and a body containing ", nonsensitive(response.request.contains == null) ? "" : response.request.contains,
  ] : issensitive(part) ? "(sensitive)" : nonsensitive(part)]) }

  gate_passed  = alltrue(values(local.smoke_passed))
  gate_refusal = <<-EOT
    The version that served before still serves. To see which:
      aws lambda get-alias --region ${local.region} --function-name ${var.name} --name live --query FunctionVersion --output text
    Smoke requests to host ${issensitive(local.smoke_host) ? "(sensitive)" : nonsensitive(local.smoke_host)}:
    ${join("\n", [for key, passed in local.smoke_passed : "  ${key}: ${local.smoke_labels[key]}${passed ? ": passed" : ", got ${local.smoke_responses[key].status == null ? "no HTTP response" : "status ${local.smoke_responses[key].status}"}: ${substr(local.smoke_responses[key].body, 0, 500)}"}"])}
    Fix the source and apply again. If only a dependency was down, retest this version:
      terraform apply -replace='${join("' -replace='", [for key, passed in local.smoke_passed : "<this module>.aws_lambda_invocation.smoke[\"${key}\"]" if !passed])}'
  EOT
}

resource "aws_lambda_invocation" "smoke" {
  for_each = local.smoke_invocations

  function_name = aws_lambda_function.this.function_name
  qualifier     = local.gated_versions[each.value.name]
  input         = local.smoke_inputs[each.value.request]
  triggers      = { version = local.gated_versions[each.value.name] }

  lifecycle {
    precondition {
      condition     = local.gated_versions[each.value.name] != "$LATEST"
      error_message = "function.reserved_concurrency = 0 stops the function, so no version can be published or tested. For the first release set it to null or above 0."
    }
  }
}
