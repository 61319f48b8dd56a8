locals {
  # The image can tell what it was built from, also where it is promoted to. In the function's environment the hash would make each
  # release a second update of the function, which takes as long as the first.
  build_args = local.builds ? merge({ SOURCE_HASH = local.source_hash }, local.args) : null

  repository_url = one([for repository in aws_ecr_repository.this : (
    var.repository.registry_host == null ? repository.repository_url : "${var.repository.registry_host}/${repository.name}"
  )])
  image_uri = (
    local.builds
    ? "${local.repository_url}@${docker_registry_image.this[0].sha256_digest}"
    : nonsensitive(var.image.uri)
  )

  # <account>.dkr.ecr.<region>.amazonaws.com, and its forms for IPv6 (dkr-ecr) and other partitions. Lambda takes none of ecr-fips.
  given_host   = local.builds ? null : nonsensitive(split("/", var.image.uri)[0])
  given_region = try(regex("^[0-9]{12}\\.dkr[.-]ecr\\.([a-z0-9-]+)\\.[a-z0-9.-]+$", local.given_host)[0], null)
}

# A new id for every build. With the hash alone, going back to earlier content would push an earlier tag again, which an
# immutable repository refuses when the rebuilt image has another digest.
resource "terraform_data" "build" {
  count = local.builds ? 1 : 0

  # The paths and the module's own argument too: a change of theirs makes the provider build again.
  triggers_replace = [local.source_hash, local.context, nonsensitive(local.build.dockerfile), local.log_file, local.build_args]

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = local.ignore_text != null
      error_message = "image.build: ${coalesce(local.ignore_file, ".dockerignore")} cannot be read as UTF-8 text. Save it in that encoding: Docker compares names byte by byte."
    }

    precondition {
      condition     = length(local.ignore_refused) == 0
      error_message = "image.build: ${coalesce(local.ignore_file, ".dockerignore")} holds lines that are no patterns to Docker, which refuses to build with them: ${join(" ", local.ignore_refused)}"
    }

    precondition {
      condition     = !local.hashes_files || length(local.source_files) > 0 || length(local.ignore_refused) > 0
      error_message = "image.build.context (${local.context}) holds no file that its .dockerignore lets through: there is nothing to build."
    }

    precondition {
      condition     = length(local.unhashed_files) == 0
      error_message = <<-EOT
        image.build.context (${local.context}): Terraform cannot read ${join(", ", slice(local.unhashed_files, 0, min(5, length(local.unhashed_files))))}. A file may be closed to this user; or its name may be written
        with combining characters (Unicode's form NFD, as macOS makes them), which Terraform changes to another name. Rename it (to NFC), name it in .dockerignore, or give image.build.source_hash.
      EOT
    }

    precondition {
      condition     = length(local.terraform_files) == 0
      error_message = <<-EOT
        image.build.context (${local.context}) holds files that Terraform itself writes, so that the apply would build from others than were planned: ${join(", ", slice(local.terraform_files, 0, min(5, length(local.terraform_files))))}.
        Keep them out of the image with these lines in .dockerignore: **/.terraform, **/*.tfstate*, **/*tfplan${local.log_file_inside == null ? "" : ", ${local.log_file_inside}"}.
      EOT
    }
  }
}

# The registry is all that this resource's state depends on: a fresh runner, a pruned engine or none at all plans no change.
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

    # Attestations make an image index, which Lambda refuses.
    provenance = "false"
    sbom       = "false"
  }

  # A failed build must leave the image that serves in state.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_ecr_lifecycle_policy.this, aws_ecr_repository_policy.this]
}
