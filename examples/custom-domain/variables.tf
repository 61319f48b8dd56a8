variable "domain" {
  description = "Host name of the API."
  type        = string
  nullable    = false
}

variable "truststore_uri" {
  description = "s3://<bucket>/<key> of a PEM file with the certificate authorities that clients' certificates must be issued by (mTLS); null for none."
  type        = string
  default     = null
}

variable "truststore_version" {
  description = "S3 version of the truststore. API Gateway reads a changed file only when this changes."
  type        = string
  default     = null
}

variable "zone_id" {
  description = "ID of the domain's Route 53 hosted zone."
  type        = string
  nullable    = false
}
