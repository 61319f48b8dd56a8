terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, != 6.2.0, != 6.3.0, < 7"
    }
    docker = {
      source  = "kreuzwerker/docker"
      version = ">= 4.3, < 5"
    }
  }
}
