variable "domain" {
  description = "Host name of the API."
  type        = string
  nullable    = false
}

variable "truststore_uri" {
  description = "s3://<bucket>/<key> of a PEM file with the authorities whose client certificates are accepted (mTLS); null for none."
  type        = string
  default     = null
}

variable "truststore_version" {
  description = "S3 version of the truststore. API Gateway reads the file again when this changes, and otherwise never."
  type        = string
  default     = null
}

variable "zone_id" {
  description = "Id of the Route 53 hosted zone that holds the domain."
  type        = string
  nullable    = false
}
