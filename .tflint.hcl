# Linting with tflint (https://github.com/terraform-linters/tflint): CI runs it in each folder of modules/ and examples/.
config {
  call_module_type = "local" # examples call the module by path, and are linted with its values
}

plugin "terraform" {
  enabled = true
  preset  = "recommended"
}

plugin "aws" {
  enabled = true
  source  = "github.com/terraform-linters/tflint-ruleset-aws"
  # renovate: datasource=github-releases depName=terraform-linters/tflint-ruleset-aws
  version = "0.48.0"
}

# As the rest of the style: only # comments, snake_case, and a description for all that users see.
rule "terraform_comment_syntax" {
  enabled = true
}

rule "terraform_documented_outputs" {
  enabled = true
}

rule "terraform_documented_variables" {
  enabled = true
}

rule "terraform_naming_convention" {
  enabled = true
}

rule "terraform_unused_required_providers" {
  enabled = false # one versions.tf for all folders
}
