resource "aws_apigatewayv2_domain_name" "this" {
  count = var.api.domain == null ? 0 : 1

  domain_name = var.api.domain.name

  domain_name_configuration {
    certificate_arn = var.api.domain.certificate_arn
    endpoint_type   = "REGIONAL"
    security_policy = "TLS_1_2"
  }

  dynamic "mutual_tls_authentication" {
    for_each = var.api.domain.truststore_uri == null ? [] : [var.api.domain]

    content {
      truststore_uri     = mutual_tls_authentication.value.truststore_uri
      truststore_version = mutual_tls_authentication.value.truststore_version
    }
  }

  tags = var.tags
}

resource "aws_apigatewayv2_api_mapping" "this" {
  count = var.api.domain == null ? 0 : 1

  api_id      = aws_apigatewayv2_api.this.id
  domain_name = aws_apigatewayv2_domain_name.this[0].id
  stage       = aws_apigatewayv2_stage.default.id
}

resource "aws_route53_record" "this" {
  # An object decides, not its id: of a zone made in the same apply the id is unknown yet.
  for_each = toset(var.api.domain == null ? [] : var.api.domain.route53 == null ? [] : ["A", "AAAA"])

  zone_id = var.api.domain.route53.zone_id
  name    = var.api.domain.name
  type    = each.value

  alias {
    name                   = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].target_domain_name
    zone_id                = aws_apigatewayv2_domain_name.this[0].domain_name_configuration[0].hosted_zone_id
    evaluate_target_health = false
  }
}
