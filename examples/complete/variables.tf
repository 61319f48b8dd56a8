variable "base_image" {
  description = "Base image of the build: AWS's Lambda base image for Python, or a copy of it in a registry that the build can reach."
  type        = string
  default     = "public.ecr.aws/lambda/python:3.13"
  nullable    = false
}

variable "jwt_audience" {
  description = "Audience (`aud` or `client_id`) that a caller's token must have."
  type        = string
  nullable    = false
}

variable "jwt_issuer" {
  description = "HTTPS URL of the OpenID Connect issuer, exactly as in its tokens' `iss`. API Gateway reads its discovery document at the first apply."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the API and prefix of the table's name."
  type        = string
  nullable    = false
}
