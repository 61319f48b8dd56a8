output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = "https://${var.domain}"
  depends_on  = [aws_cloudfront_distribution.this, aws_route53_record.this]
}

output "distribution_domain" {
  description = "Host name of the CloudFront distribution, for the domain's DNS record."
  value       = aws_cloudfront_distribution.this.domain_name
}

output "origin_endpoint" {
  description = "The API's own HTTPS URL, which refuses requests that do not come through CloudFront."
  value       = module.api.endpoint
}
