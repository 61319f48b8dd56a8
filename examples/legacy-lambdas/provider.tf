provider "aws" {
  default_tags {
    tags = {
      Team    = "people"
      Project = var.prefix
    }
  }
}
