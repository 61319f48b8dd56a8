provider "aws" {}

# Login for the push: the provider does not read Docker's credential store.
provider "docker" {
  registry_auth {
    address  = data.aws_ecr_authorization_token.this.proxy_endpoint
    username = data.aws_ecr_authorization_token.this.user_name
    password = data.aws_ecr_authorization_token.this.password
  }
}

data "aws_ecr_authorization_token" "this" {}

resource "aws_acm_certificate" "this" {
  domain_name       = var.domain
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  for_each = { for o in aws_acm_certificate.this.domain_validation_options : o.domain_name => o }

  zone_id = var.zone_id
  name    = each.value.resource_record_name
  type    = each.value.resource_record_type
  records = [each.value.resource_record_value]
  ttl     = 300
}

# API Gateway accepts only a validated certificate.
resource "aws_acm_certificate_validation" "this" {
  certificate_arn         = aws_acm_certificate.this.arn
  validation_record_fqdns = [for record in aws_route53_record.validation : record.fqdn]
}

module "api" {
  source = "../../modules/lambda_container_api"

  name  = "domain-api"
  image = { build = { context = "../minimal/app" } }
  auth  = { public = { reason = "Says hello to everybody and holds no data" } }

  api = {
    domain = {
      name               = var.domain
      certificate_arn    = aws_acm_certificate_validation.this.certificate_arn
      route53            = { zone_id = var.zone_id }
      truststore_uri     = var.truststore_uri
      truststore_version = var.truststore_version
    }
    cors = {
      allow_origins = ["https://app.example.com"]
      allow_methods = ["GET"]
    }
  }
}
