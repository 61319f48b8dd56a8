variable "cidr_block" {
  description = "Address range of the VPC, /16 to /24."
  type        = string
  default     = "10.20.0.0/20"
  nullable    = false
}
