variable "base_image" {
  description = "Image to build on: AWS's, or a copy of it in a registry of yours."
  type        = string
  default     = "public.ecr.aws/lambda/python:3.13"
}

variable "certificate_arn" {
  description = "ARN of a validated ACM certificate for `domain`, in the provider's region."
  type        = string
}

variable "domain" {
  description = "Host name of both APIs, such as api.example.com."
  type        = string
}

variable "zone_id" {
  description = "ID of the Route 53 hosted zone of `domain`; null if DNS is hosted elsewhere. Then create a CNAME from `domain` to the output `domain_target`."
  type        = string
  default     = null
}
