locals {
  # Only whether an object is set decides which instances exist: its values may be sensitive, or unknown until apply.
  domain     = nonsensitive(var.api.domain != null)
  own_domain = local.domain && nonsensitive(!try(coalesce(var.api.domain.existing, false), false))
  dns        = nonsensitive(try(var.api.domain.route53 != null, false))
  truststore = nonsensitive(try(var.api.domain.truststore_uri != null, false))

  # A host name is no secret. For *.example.com only callers know the name that they use.
  endpoint = (
    !local.domain ? aws_apigatewayv2_api.this.api_endpoint :
    startswith(nonsensitive(var.api.domain.name), "*.") ? null :
    join("/", compact(["https://${nonsensitive(var.api.domain.name)}", nonsensitive(var.api.domain.base_path)]))
  )
}

resource "aws_apigatewayv2_domain_name" "this" {
  count = local.own_domain ? 1 : 0

  domain_name = var.api.domain.name

  domain_name_configuration {
    certificate_arn                        = var.api.domain.certificate_arn
    endpoint_type                          = "REGIONAL"
    ip_address_type                        = var.api.domain.ip_address_type
    ownership_verification_certificate_arn = var.api.domain.ownership_verification_certificate_arn
    security_policy                        = "TLS_1_2"
  }

  dynamic "mutual_tls_authentication" {
    for_each = local.truststore ? ["this"] : []

    content {
      truststore_uri     = var.api.domain.truststore_uri
      truststore_version = var.api.domain.truststore_version
    }
  }

  tags = var.tags

  lifecycle {
    precondition {
      condition     = split(":", var.api.domain.certificate_arn)[3] == local.region
      error_message = "api.domain.certificate_arn must be in the API's region, ${local.region}: API Gateway accepts no certificate from another."
    }
  }
}

resource "aws_apigatewayv2_api_mapping" "this" {
  count = local.domain ? 1 : 0

  api_id          = aws_apigatewayv2_api.this.id
  api_mapping_key = var.api.domain.base_path
  domain_name     = local.own_domain ? aws_apigatewayv2_domain_name.this[0].id : var.api.domain.name
  stage           = aws_apigatewayv2_stage.default.id
}

resource "aws_route53_record" "this" {
  for_each = toset(local.dns ? ["A", "AAAA"] : [])

  zone_id = var.api.domain.route53.zone_id
  name    = var.api.domain.name
  type    = each.value

  alias {
    name                   = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].target_domain_name
    zone_id                = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].hosted_zone_id
    evaluate_target_health = false
  }
}
