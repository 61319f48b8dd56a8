variable "auth" {
  description = "Who may call the API: the module's input. The application checks each token itself, as the old functions do."
  type        = any
  default     = { public = { reason = "The functions and the application verify the callers' tokens themselves" } }
  nullable    = false
}

variable "base_image" {
  description = "Base image of the build: AWS's Lambda base image for Python, or a copy of it in a registry that the build can reach."
  type        = string
  default     = "public.ecr.aws/lambda/python:3.13"
  nullable    = false
}

variable "data_phase" {
  description = "Which tables are read and written, step by step and back: old, copy (writes go to both), switched (the new table is read), new (the old tables get no more writes: no way back)."
  type        = string
  default     = "old"
  nullable    = false

  validation {
    condition     = contains(["old", "copy", "switched", "new"], var.data_phase)
    error_message = "data_phase must be old, copy, switched or new: docs/migrating.md has the order, of which none may be left out."
  }
}

variable "issuer" {
  description = "The `iss` of accepted tokens."
  type        = string
  nullable    = false
}

variable "keys_url" {
  description = "URL of the issuer's public keys; null for <issuer>/.well-known/jwks.json."
  type        = string
  default     = null
}

variable "legacy_routes" {
  description = "Short form of `routes`, for functions of a REST API that authenticate as the API does: route key (METHOD /path) → function ARN."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "moved" {
  description = "Keys of the routes that the container serves instead of their old functions."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for key in var.moved : contains(keys(merge(var.routes, var.legacy_routes)), key)])
    error_message = "moved must name keys of routes or legacy_routes, such as \"GET /users/{userId}\": the container serves every other path already."
  }
}

variable "name" {
  description = "Name of the API and prefix of the new table's name."
  type        = string
  default     = "migrating-api"
  nullable    = false
}

variable "old_tables" {
  description = "Names of the old functions' tables."
  type = object({
    customers = string
    users     = string
  })
  default  = { customers = "legacy-people-customers", users = "legacy-people-users" }
  nullable = false
}

variable "routes" {
  description = "Routes that old functions serve unless they are in `moved`: the module's input, as the inventory writes it."
  type        = any
  default     = {}
  nullable    = false
}
