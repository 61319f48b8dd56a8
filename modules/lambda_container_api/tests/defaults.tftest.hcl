# The module with only its required inputs, on mocked providers: `terraform init && terraform test` in the module's folder,
# without an AWS account. In your copy of the module, add your own runs to these.
mock_provider "aws" {
  # It publishes version 8, and its ARNs are valid. The blocks are inline because OpenTofu does not read mock files.
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }
  mock_resource "aws_apigatewayv2_api" {
    defaults = { execution_arn = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:111122223333:log-group:orders" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/orders" }
  }
  mock_resource "aws_lambda_alias" {
    defaults = { invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/orders/invocations" }
  }
  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-central-1:111122223333:function:orders", version = "8" }
  }
  mock_resource "aws_lambda_invocation" {
    defaults = { result = "{\"statusCode\": 200, \"body\": \"ok\"}" }
  }
}

mock_provider "docker" {}

variables {
  name  = "orders"
  image = { uri = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/orders@sha256:0000000000000000000000000000000000000000000000000000000000000000" }
  auth  = { iam = {} }
}

run "image_tags_are_immutable_and_images_scanned" {
  command = plan

  # Any folder and file work: a plan builds nothing.
  variables {
    image = { build = { context = "tests", dockerfile = "defaults.tftest.hcl" } }
  }

  assert {
    condition     = aws_ecr_repository.this[0].image_tag_mutability == "IMMUTABLE" && one(aws_ecr_repository.this[0].image_scanning_configuration).scan_on_push
    error_message = "Tags must be immutable, and images scanned on push."
  }

  assert {
    condition     = !aws_ecr_repository.this[0].force_delete
    error_message = "A destroy must not delete a repository that contains images."
  }
}

run "function_times_out_before_the_gateway" {
  command = plan

  assert {
    condition     = aws_lambda_function.this.memory_size == 512 && aws_lambda_function.this.timeout == 10
    error_message = "The function must have 512 MB and 10 s."
  }

  assert {
    condition     = aws_apigatewayv2_integration.live.timeout_milliseconds == 11000
    error_message = "The gateway must wait one second longer than the function's time-out."
  }
}

run "auth_iam_requires_signed_requests" {
  command = plan

  assert {
    condition     = aws_apigatewayv2_route.default.authorization_type == "AWS_IAM"
    error_message = "auth = { iam = {} } must reach the route."
  }
}

run "stage_is_throttled_and_logs_expire" {
  command = plan

  assert {
    condition     = aws_apigatewayv2_stage.default.default_route_settings[0].throttling_rate_limit == 500
    error_message = "The stage must be throttled: without a limit, one client can use up the account's quota."
  }

  assert {
    condition     = aws_cloudwatch_log_group.access.retention_in_days == 365 && aws_cloudwatch_log_group.function.retention_in_days == 365
    error_message = "Logs must be retained for one year."
  }
}

run "default_alarms_exist" {
  command = plan

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.this) == ["duration", "errors", "latency", "latency-average", "memory", "server-errors", "throttles"]
    error_message = "Alarms must exist by default; concurrency and spillover only where they apply."
  }
}

run "optional_resources_are_absent" {
  command = plan

  assert {
    condition = length(concat(
      aws_apigatewayv2_authorizer.jwt, aws_apigatewayv2_authorizer.lambda, aws_apigatewayv2_domain_name.this,
      aws_lambda_function_event_invoke_config.live, aws_lambda_provisioned_concurrency_config.fixed, docker_registry_image.this,
      aws_ecr_repository.this,
    )) == 0
    error_message = "An authorizer, a domain, provisioned concurrency and a build must exist only where configured."
  }
}

run "newest_version_serves_through_the_alias" {
  assert {
    condition     = output.version == "8" && output.newest_version == "8"
    error_message = "Without release.version, the newest version must serve."
  }

  assert {
    condition     = aws_apigatewayv2_integration.live.integration_uri == aws_lambda_alias.live.invoke_arn && aws_lambda_permission.api.qualifier == "live"
    error_message = "The gateway must invoke the alias, and have permission for nothing else."
  }
}

run "pinned_version_serves_despite_a_newer_one" {
  variables {
    release = { version = 7 }
  }

  assert {
    condition     = output.version == "7" && output.newest_version == "8"
    error_message = "release.version must decide which version serves."
  }
}

run "refuses_to_move_the_deployed_role" {
  command = plan

  variables {
    permissions = { role_path = "/services/" }
  }

  expect_failures = [aws_iam_role.execution]
}

# Last, since earlier runs have deployed to another region.
run "refuses_another_region_while_deployed" {
  command = plan

  override_data {
    target = data.aws_region.this
    values = { id = "eu-west-1" }
  }

  expect_failures = [terraform_data.location]
}
