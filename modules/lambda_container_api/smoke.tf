# What each version is asked before it takes traffic, and what it answered.
locals {
  smoke = var.release.smoke
  # As clients send it: of a wildcard domain with a name that nobody has, and without a domain the API's own endpoint.
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
    # API Gateway writes names in lower case. The first two are a client's, which may send others.
    headers = merge(
      { accept = "*/*", user-agent = "lambda_container_api/release-gate" },
      request.body == null ? {} : { content-type = "application/json" },
      [for headers in [local.smoke.headers, request.headers] : { for name, value in headers : lower(name) => value if value != null }]...
    )
  }]

  # API Gateway's event, payload 2.0, whole: adapters and applications read any of it. Its time stands still, or each plan would ask again.
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
  # Bodies of all other types are base64. AWS does not list them; github.com/ministackorg/ministack/pull/766 has asked it.
  smoke_texts = [for event in local.smoke_events : event.body == null ? true : can(regex(
    "^(text/|application/(json|javascript|xml) *(;|$))", lower(event.headers["content-type"])
  ))]
  smoke_inputs = [for i, event in local.smoke_events : jsonencode({ for key, value in merge(event, {
    body            = local.smoke_texts[i] ? event.body : base64encode(event.body)
    isBase64Encoded = !local.smoke_texts[i]
  }) : key => value if value != null })]

  # Every request to every version; the first one by the version's name alone.
  smoke_invocations = merge([for name in nonsensitive(keys(local.gated_versions)) : {
    for i in range(nonsensitive(length(local.smoke_requests))) : i == 0 ? name : "${name}-${i}" => { name = name, request = i }
  }]...)
  smoke_results = { for key, invocation in aws_lambda_invocation.smoke : key => try(jsondecode(invocation.result), null) }
  # What a client would get. An answer without statusCode API Gateway serves as a 200; here only one that `contains` knows, since
  # what answers may be no web application at all.
  smoke_answers = { for key, result in local.smoke_results : key => {
    request = local.smoke_requests[local.smoke_invocations[key].request]
    version = local.gated_versions[local.smoke_invocations[key].name]
    status = (
      can(result.statusCode) ? try(tonumber(result.statusCode), null) :
      nonsensitive(local.smoke_requests[local.smoke_invocations[key].request].contains == null) ? null : 200
    )
    body = (
      !can(result.statusCode) ? aws_lambda_invocation.smoke[key].result :
      try(result.isBase64Encoded, false) == true ? try(base64decode(result.body), "bytes that are no text") :
      try(result.body == null ? "" : tostring(result.body), jsonencode(result.body), "")
    )
  } }
  smoke_passes = { for key, answer in local.smoke_answers : key => nonsensitive(
    answer.status == answer.request.status && (answer.request.contains == null ? true : strcontains(answer.body, answer.request.contains))
  ) }
  # Secrets in a request must not keep the rest of the message from being shown.
  smoke_asked = { for key, answer in local.smoke_answers : key => join("", [for part in [
    "version ", answer.version, ": ", answer.request.method, " ", answer.request.path, ", expected status ", answer.request.status,
    nonsensitive(answer.request.contains == null) ? "" : " and a body with ", nonsensitive(answer.request.contains == null) ? "" : answer.request.contains,
  ] : issensitive(part) ? "(sensitive)" : nonsensitive(part)]) }

  gate_passed  = alltrue(values(local.smoke_passes))
  gate_refusal = <<-EOT
    the version that served before still serves. Which one:
      aws lambda get-alias --region ${local.region} --function-name ${var.name} --name live --query FunctionVersion --output text
    Asked at host ${issensitive(local.smoke_host) ? "(sensitive)" : nonsensitive(local.smoke_host)}:
    ${join("\n", [for key, passes in local.smoke_passes : "  ${key}: ${local.smoke_asked[key]}${passes ? ": as expected" : ", got ${local.smoke_answers[key].status == null ? "no HTTP response" : "status ${local.smoke_answers[key].status}"}: ${substr(local.smoke_answers[key].body, 0, 500)}"}"])}
    Mend the source and apply again; or, where only its surroundings were broken, ask the same version once more with
    terraform apply -replace='${join("' -replace='", [for key, passes in local.smoke_passes : "<this module>.aws_lambda_invocation.smoke[\"${key}\"]" if !passes])}'
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
      error_message = "function.reserved_concurrency = 0 stops the function, so no version can be asked whether it answers: none is published meanwhile. For the first release let it be null or above 0."
    }
  }
}
