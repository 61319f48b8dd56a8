# What the module refuses, one input of each variable: each run must fail at what it names, or the test does.
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

run "a_name_that_ecr_would_refuse" {
  command = plan

  variables {
    name = "Orders"
  }

  expect_failures = [var.name]
}

run "an_image_by_tag" {
  command = plan

  variables {
    image = { uri = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/orders:latest" }
  }

  expect_failures = [var.image]
}

run "an_open_api_without_a_reason" {
  command = plan

  variables {
    auth = { public = { reason = "" } }
  }

  expect_failures = [var.auth]
}

run "two_kinds_of_auth" {
  command = plan

  variables {
    auth = { iam = {}, public = { reason = "Says hello to everybody" } }
  }

  expect_failures = [var.auth]
}

run "a_timeout_longer_than_the_gateway_waits" {
  command = plan

  variables {
    function = { timeout_seconds = 30 }
  }

  expect_failures = [var.function]
}

run "a_secret_instead_of_its_arn" {
  command = plan

  variables {
    function = { secrets = { TOKEN = "hunter2" } }
  }

  expect_failures = [var.function]
}

run "a_throttle_that_would_refuse_every_request" {
  command = plan

  variables {
    api = { throttle = { rate_per_second = 0 } }
  }

  expect_failures = [var.api]
}

run "retention_that_cloudwatch_does_not_know" {
  command = plan

  variables {
    logs = { retention_days = 100 }
  }

  expect_failures = [var.logs]
}

run "retention_too_short_for_a_rollback" {
  command = plan

  variables {
    repository = { images_kept = 3 }
  }

  expect_failures = [var.repository]
}

run "permission_for_everything" {
  command = plan

  variables {
    permissions = { statements = [{ actions = ["*"], resources = ["*"] }] }
  }

  expect_failures = [var.permissions]
}

run "a_canary_without_a_version_for_the_rest" {
  command = plan

  variables {
    release = { canary_percent = 10 }
  }

  expect_failures = [var.release]
}

run "more_warm_environments_than_may_run" {
  command = plan

  variables {
    function                = { reserved_concurrency = 5 }
    provisioned_concurrency = { min = 10 }
  }

  expect_failures = [var.provisioned_concurrency]
}

run "an_alarm_that_would_always_sound" {
  command = plan

  variables {
    alarms = { errors = 0 }
  }

  expect_failures = [var.alarms]
}

run "a_route_key_of_another_form" {
  command = plan

  variables {
    routes = { "/users" = {} }
  }

  expect_failures = [var.routes]
}

run "a_tag_that_aws_keeps_for_itself" {
  command = plan

  variables {
    tags = { "aws:team" = "orders" }
  }

  expect_failures = [var.tags]
}
