variable "base_image" {
  description = "Image to build on: AWS's, or a copy of it in a registry of yours."
  type        = string
  default     = "public.ecr.aws/lambda/python:3.13"
}

variable "certificate_arn" {
  description = "ARN of a validated ACM certificate for `domain`, in us-east-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[^:]+:acm:us-east-1:", var.certificate_arn))
    error_message = "certificate_arn must name an ACM certificate in us-east-1: CloudFront uses no other region's."
  }
}

variable "domain" {
  description = "Host name that clients use, such as api.example.com."
  type        = string
  nullable    = false
}

variable "origin_secrets" {
  description = <<-EOT
    Values of the header by which the API recognises CloudFront: one, or two during a rotation. CloudFront sends the first, the API accepts
    both. Each has 32 to 256 letters and digits, such as the output of `openssl rand -hex 32`. Set them by TF_VAR_origin_secrets='["…"]'.
    To rotate, apply three times: with the new value last, then first, then alone. Replacing the only value in one apply would fail every
    request until CloudFront has deployed the new one.
    The first value is readable in the state and in CloudFront's configuration, whatever vault it comes from, and the application receives it
    as a header. With it one can bypass the firewall, and nothing else.
  EOT
  type        = list(string)
  nullable    = false
  sensitive   = true

  validation {
    condition     = length(var.origin_secrets) >= 1 && length(var.origin_secrets) <= 2
    error_message = "origin_secrets must hold one value, or two during a rotation: without a value the API would refuse every request."
  }

  validation {
    condition     = alltrue([for value in var.origin_secrets : can(regex("^[A-Za-z0-9]{32,256}$", value))])
    error_message = "origin_secrets must hold values of 32 to 256 letters and digits: shorter ones can be guessed, and other characters may not be valid in a header."
  }
}

variable "requests_per_ip" {
  description = "Requests that one IP address may send in five minutes; above, it gets 429. WAF accepts 10 or more, and reacts within about half a minute."
  type        = number
  default     = 1000
  nullable    = false
}

variable "waf_log_retention_days" {
  description = "Days to keep the log of blocked requests, $0.50 per GB written; null for no log."
  type        = number
  default     = 365
}

variable "zone_id" {
  description = "ID of the Route 53 hosted zone of `domain`; null if DNS is hosted elsewhere. Then create a CNAME from `domain` to the output `distribution_domain`."
  type        = string
  default     = null
}
