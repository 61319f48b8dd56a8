# An API's responses are not cached: CloudFront contributes TLS near the client, HTTP/3 and the firewall.
data "aws_cloudfront_cache_policy" "none" {
  name = "Managed-CachingDisabled"
}

# API Gateway finds the API by the Host header, which must be its own.
data "aws_cloudfront_origin_request_policy" "all_but_host" {
  name = "Managed-AllViewerExceptHostHeader"
}

data "aws_cloudfront_response_headers_policy" "security" {
  name = "Managed-SecurityHeadersPolicy"
}

resource "aws_cloudfront_distribution" "this" {
  #checkov:skip=CKV_AWS_86:The API has an access log, and the firewall logs what it blocks; CloudFront would log each request again
  #checkov:skip=CKV_AWS_305:An API has no root object
  #checkov:skip=CKV_AWS_310:There is one API, in one region
  #checkov:skip=CKV_AWS_374:Clients may come from every country
  #checkov:skip=CKV2_AWS_32:AWS's managed SecurityHeadersPolicy is attached; the check looks for a policy of this root
  #checkov:skip=CKV2_AWS_47:The rule group is in the web ACL, by a dynamic block that the check does not read
  aliases         = [var.domain]
  comment         = "edge-api"
  enabled         = true
  http_version    = "http2and3"
  is_ipv6_enabled = true
  web_acl_id      = aws_wafv2_web_acl.this.arn

  origin {
    origin_id   = "api"
    domain_name = trimprefix(module.api.endpoint, "https://")

    # CloudFront overwrites a header of this name that the client sends.
    custom_header {
      name  = "X-Origin-Verify"
      value = var.origin_secrets[0]
    }

    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
      origin_read_timeout    = 35 # API Gateway responds within 30 s; at the default, 30 s, CloudFront would send a second request
    }
  }

  default_cache_behavior {
    target_origin_id           = "api"
    allowed_methods            = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
    cached_methods             = ["GET", "HEAD"]
    cache_policy_id            = data.aws_cloudfront_cache_policy.none.id
    origin_request_policy_id   = data.aws_cloudfront_origin_request_policy.all_but_host.id
    response_headers_policy_id = data.aws_cloudfront_response_headers_policy.security.id
    viewer_protocol_policy     = "https-only" # a redirect would come after the token was sent in clear text
  }

  viewer_certificate {
    acm_certificate_arn      = var.certificate_arn
    minimum_protocol_version = "TLSv1.2_2021"
    ssl_support_method       = "sni-only"
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }
}

resource "aws_route53_record" "this" {
  for_each = var.zone_id == null ? [] : toset(["A", "AAAA", "HTTPS"])

  zone_id = var.zone_id
  name    = var.domain
  type    = each.value

  alias {
    name                   = aws_cloudfront_distribution.this.domain_name
    zone_id                = aws_cloudfront_distribution.this.hosted_zone_id
    evaluate_target_health = false
  }
}
