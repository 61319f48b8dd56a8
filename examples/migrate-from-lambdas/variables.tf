variable "auth" {
  description = "Who may call the API: the module's input."
  type        = any
  default     = { public = { reason = "Says hello to everybody and holds no data" } }
  nullable    = false
}

variable "legacy_routes" {
  description = "Short form of `routes`, for functions of a REST API that authenticate as the API does: route key (METHOD /path) → function ARN."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "routes" {
  description = "Routes that old functions still serve: the module's input, as the inventory writes it."
  type        = any
  default     = {}
  nullable    = false
}
