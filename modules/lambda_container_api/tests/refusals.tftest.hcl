# One refused input of each variable that has validations: a run passes only if its `expect_failures` fail.
mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { id = "eu-central-1" }
  }
}

mock_provider "docker" {}

variables {
  name  = "orders"
  image = { uri = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/orders@sha256:0000000000000000000000000000000000000000000000000000000000000000" }
  auth  = { iam = {} }
}

run "name_in_upper_case" {
  command = plan

  variables {
    name = "Orders"
  }

  expect_failures = [var.name]
}

run "image_uri_by_tag" {
  command = plan

  variables {
    image = { uri = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/orders:latest" }
  }

  expect_failures = [var.image]
}

run "public_auth_without_a_reason" {
  command = plan

  variables {
    auth = { public = { reason = "" } }
  }

  expect_failures = [var.auth]
}

run "two_auth_methods" {
  command = plan

  variables {
    auth = { iam = {}, public = { reason = "Says hello to everybody" } }
  }

  expect_failures = [var.auth]
}

run "timeout_longer_than_the_gateway_waits" {
  command = plan

  variables {
    function = { timeout_seconds = 30 }
  }

  expect_failures = [var.function]
}

run "secret_value_instead_of_its_arn" {
  command = plan

  variables {
    function = { secrets = { TOKEN = "hunter2" } }
  }

  expect_failures = [var.function]
}

run "throttle_that_rejects_every_request" {
  command = plan

  variables {
    api = { throttle = { rate_per_second = 0 } }
  }

  expect_failures = [var.api]
}

run "unsupported_log_retention" {
  command = plan

  variables {
    logs = { retention_days = 100 }
  }

  expect_failures = [var.logs]
}

run "too_few_images_kept_for_a_rollback" {
  command = plan

  variables {
    repository = { images_kept = 3 }
  }

  expect_failures = [var.repository]
}

run "wildcard_action" {
  command = plan

  variables {
    permissions = { statements = [{ actions = ["*"], resources = ["*"] }] }
  }

  expect_failures = [var.permissions]
}

run "canary_without_a_pinned_version" {
  command = plan

  variables {
    release = { canary_percent = 10 }
  }

  expect_failures = [var.release]
}

run "provisioned_above_reserved_concurrency" {
  command = plan

  variables {
    function                = { reserved_concurrency = 5 }
    provisioned_concurrency = { min = 10 }
  }

  expect_failures = [var.provisioned_concurrency]
}

run "alarm_threshold_of_zero" {
  command = plan

  variables {
    alarms = { errors = 0 }
  }

  expect_failures = [var.alarms]
}

run "route_key_without_a_method" {
  command = plan

  variables {
    routes = { "/users" = {} }
  }

  expect_failures = [var.routes]
}

run "reserved_tag_prefix" {
  command = plan

  variables {
    tags = { "aws:team" = "orders" }
  }

  expect_failures = [var.tags]
}
