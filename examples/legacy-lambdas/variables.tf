variable "prefix" {
  description = "Beginning of every name: functions, roles, tables and API."
  type        = string
  default     = "legacy-people"
  nullable    = false
}

variable "issuer" {
  description = "The `iss` of accepted tokens."
  type        = string
  nullable    = false
}

variable "keys_url" {
  description = "URL of the issuer's public keys, if it is not <issuer>/.well-known/jwks.json."
  type        = string
  default     = ""
  nullable    = false
}

locals {
  keys_url = coalesce(var.keys_url, "${var.issuer}/.well-known/jwks.json")
}
