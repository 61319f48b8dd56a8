name = "orders"

image = {
  build = {
    context    = "app"
    dockerfile = "Dockerfile"
    target     = "release"
    args       = { BASE_IMAGE = "registry.example.com/python:3.13" }
    log_file   = "build.log"
    builder    = "remote"
    cache_from = ["type=registry,ref=registry.example.com/orders:cache"]
    cache_to   = ["type=registry,ref=registry.example.com/orders:cache,mode=max"]
    labels     = { "org.opencontainers.image.revision" = "0123abc" }
    secrets = {
      pip   = { env = "PIP_INDEX_URL" }
      netrc = { file = "/run/secrets/netrc" }
    }
    additional_contexts = { base = "docker-image://registry.example.com/base@sha256:0000000000000000000000000000000000000000000000000000000000000000" }
  }
}

repository = {
  images_kept      = 10
  force_delete     = true
  kms_key_arn      = "arn:aws:kms:eu-central-1:111122223333:key/images"
  pull_account_ids = ["444455556666"]
  registry_host    = "registry.example.com:5000"
}

function = {
  architecture         = "arm64"
  memory_mb            = 1024
  timeout_seconds      = 29
  ephemeral_storage_mb = 1024
  reserved_concurrency = 50
  kms_key_arn          = "arn:aws:kms:eu-central-1:111122223333:key/environment"
  tracing              = true
  environment          = { TABLE_NAME = "orders-data" }
  secrets = {
    PAYMENT_KEY = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:payment-AbCdEf"
    GREETING    = "arn:aws:ssm:eu-central-1:111122223333:parameter/orders/greeting"
  }
  vpc            = { subnet_ids = ["subnet-1", "subnet-2"], security_group_ids = ["sg-1"], dual_stack = true }
  file_system    = { access_point_arn = "arn:aws:elasticfilesystem:eu-central-1:111122223333:access-point/fsap-0123456789abcdef0", mount_path = "/mnt/models" }
  recursive_loop = "Allow"
  asynchronous   = { max_age_seconds = 60, retries = 0, on_failure = { arn = "arn:aws:sqs:eu-central-1:111122223333:failed" } }
  image_config   = { command = ["service.aws_lambda.handler.handler"], entry_point = ["/lambda-entrypoint.sh"], working_directory = "/var/task" }
}

release = { smoke = {
  method   = "POST"
  path     = "/ready"
  status   = 202
  host     = "orders.example.com"
  headers  = { x-probe = "release" }
  query    = { deep = "yes" }
  body     = "{}"
  contains = "ready"
  also = [{
    method   = "POST"
    path     = "/login"
    status   = 401
    headers  = { x-user = "nobody" }
    query    = { dry = "run" }
    body     = "{}"
    contains = "unauthorized"
  }]
} }

provisioned_concurrency = { min = 2, max = 20, target_utilization = 0.6 }

auth = { jwt = { issuer = "https://login.example.com", audience = ["orders"], scopes = ["orders/read"] } }

api = {
  throttle = { rate_per_second = 50, burst = 100 }
  cors = {
    allow_origins     = ["https://app.example.com"]
    allow_methods     = ["GET", "POST"]
    allow_headers     = ["authorization"]
    expose_headers    = ["etag"]
    allow_credentials = true
    max_age_seconds   = 60
  }
  domain = {
    name                                   = "api.example.com"
    base_path                              = "orders/v1"
    certificate_arn                        = "arn:aws:acm:eu-central-1:111122223333:certificate/1234"
    ownership_verification_certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/5678"
    route53                                = { zone_id = "Z0123456789EXAMPLE" }
    truststore_uri                         = "s3://trust/ca.pem"
    truststore_version                     = "3"
  }
}

routes = {
  "GET /status"        = { auth = { public = { reason = "Status page for everybody" } } }
  "POST /orders"       = { auth = { scopes = ["orders/write"] }, throttle = { rate_per_second = 5, burst = 10 } }
  "ANY /admin/{rest+}" = { auth = { iam = {} } }
  "DELETE /users/{id}" = { legacy = { function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:DeleteUser:live", payload_format_version = "1.0" } }
}

permissions = {
  boundary_arn     = "arn:aws:iam::111122223333:policy/boundary"
  role_name_prefix = "team-"
  role_path        = "/services/"
  statements = [{
    sid        = "ReadTable"
    actions    = ["dynamodb:GetItem"]
    resources  = ["arn:aws:dynamodb:eu-central-1:111122223333:table/orders-data"]
    conditions = [{ test = "StringEquals", variable = "aws:PrincipalTag/team", values = ["orders"] }]
  }]
}

logs = { keep_on_destroy = true, retention_days = 731, kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/logs", level = "WARNING" }

alarms = {
  actions             = ["arn:aws:sns:eu-central-1:111122223333:on-call"]
  duration_percent    = 50
  errors              = 3
  latency_average_ms  = 150
  latency_p99_ms      = 900
  memory_percent      = 75
  server_errors       = 7
  spillover           = 2
  concurrency_percent = 50
  off                 = ["throttles"]
}

dashboard = true
tags      = { team = "orders" }
