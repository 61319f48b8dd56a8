locals {
  # The image carries the hash of its source, wherever it is promoted to. In the function's environment, the hash would add a second
  # update of the function to each release, which takes as long as the first.
  build_args = local.builds ? merge({ SOURCE_HASH = local.source_hash }, local.args) : null
  # IDs and where the values are, which are no secrets.
  secrets = { for id, secret in local.builds ? local.build.secrets : {} : id => secret if nonsensitive(secret != null) }

  repository_url = local.own_repository || !local.builds ? one([for repository in aws_ecr_repository.this : (
    var.repository.registry_host == null ? repository.repository_url : "${var.repository.registry_host}/${repository.name}"
  )]) : nonsensitive(var.repository.existing.url)
  image_uri = (
    local.builds
    ? "${local.repository_url}@${docker_registry_image.this[0].sha256_digest}"
    : nonsensitive(var.image.uri)
  )

  # <account>.dkr.ecr.<region>.amazonaws.com, and its forms for IPv6 (dkr-ecr) and other partitions. Lambda does not accept ecr-fips.
  uri_host   = local.own_repository ? null : split("/", local.builds ? local.repository_url : nonsensitive(var.image.uri))[0]
  uri_region = try(regex("^[0-9]{12}\\.dkr[.-]ecr\\.([a-z0-9-]+)\\.[a-z0-9.-]+$", local.uri_host)[0], null)
}

# A new ID for every build. With the hash alone, a return to earlier content would push an earlier tag again, which an
# immutable repository rejects if the rebuilt image has another digest.
resource "terraform_data" "build" {
  count = local.builds ? 1 : 0

  # Paths and the module's own argument as well: the provider rebuilds when they change.
  triggers_replace = concat(
    [local.source_hash, local.context, nonsensitive(local.build.dockerfile), local.log_file, local.build_args],
    length(local.secrets) == 0 ? [] : [local.secrets],
  )
  # Recorded with each build, and ignored until the next one: the provider would rebuild for a new cache or label.
  input = {
    builder    = local.build.builder
    cache_from = local.build.cache_from
    cache_to   = local.build.cache_to
    labels     = merge({ "lambda-container-api.source-hash" = local.source_hash }, local.build.labels)
  }

  lifecycle {
    create_before_destroy = true
    ignore_changes        = [input]

    precondition {
      condition     = local.ignore_text != null
      error_message = "image.build: ${coalesce(local.ignore_file, ".dockerignore")} cannot be read as UTF-8 text. Save it as UTF-8: Docker compares names byte by byte."
    }

    precondition {
      condition     = length(local.ignore_refused) == 0
      error_message = "image.build: ${coalesce(local.ignore_file, ".dockerignore")} contains lines that Docker rejects as patterns: ${join(" ", local.ignore_refused)}"
    }

    precondition {
      condition     = !local.hashes_files || length(local.source_files) > 0 || length(local.ignore_refused) > 0
      error_message = "image.build.context (${local.context}) contains no file that its .dockerignore lets through: there is nothing to build."
    }

    precondition {
      condition     = length(local.unhashed_files) == 0
      error_message = <<-EOT
        image.build.context (${local.context}): Terraform cannot read ${join(", ", slice(local.unhashed_files, 0, min(5, length(local.unhashed_files))))}. Either this user may not read it, or its name
        has combining characters (Unicode NFD, as macOS writes them), which Terraform changes. Rename it (to NFC), list it in .dockerignore, or set image.build.source_hash.
      EOT
    }

    precondition {
      condition     = length(local.terraform_files) == 0
      error_message = <<-EOT
        image.build.context (${local.context}) contains files that Terraform itself writes, so the apply would build from other files than the plan: ${join(", ", slice(local.terraform_files, 0, min(5, length(local.terraform_files))))}.
        Exclude them by these lines in .dockerignore: **/.terraform, **/*.tfstate*, **/*tfplan${local.log_file_inside == null ? "" : ", ${local.log_file_inside}"}.
      EOT
    }
  }
}

# State depends on the registry alone: a fresh runner, a pruned engine or none at all plans no change.
resource "docker_registry_image" "this" {
  count = local.builds ? 1 : 0

  name          = "${local.repository_url}:${substr(local.source_hash, 0, 12)}-${substr(terraform_data.build[0].id, 0, 8)}"
  keep_remotely = true
  triggers      = { source_hash = local.source_hash }

  build {
    context        = local.context
    dockerfile     = local.build.dockerfile
    build_args     = local.build_args
    build_log_file = local.build.log_file
    platform       = local.platform
    target         = local.build.target

    additional_contexts = [for name, source in local.contexts : "${name}=${source}"]
    # A build of an earlier release of this module has no input.
    builder    = try(terraform_data.build[0].output.builder, null)
    cache_from = try(terraform_data.build[0].output.cache_from, null)
    cache_to   = try(terraform_data.build[0].output.cache_to, null)
    label      = try(terraform_data.build[0].output.labels, null)

    dynamic "secrets" {
      for_each = nonsensitive(local.secrets)

      content {
        id  = secrets.key
        env = secrets.value.env
        src = secrets.value.file
      }
    }

    # Attestations create an image index, which Lambda rejects.
    provenance = "false"
    sbom       = "false"
  }

  # After a failed build, the image that serves must still be in state.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_ecr_lifecycle_policy.this, aws_ecr_repository_policy.this]
}
