locals {
  build    = var.image.build
  platform = { arm64 = "linux/arm64", x86_64 = "linux/amd64" }[var.function.architecture]

  context    = local.build == null ? "" : local.build.context
  dockerfile = local.build == null ? "" : startswith(local.build.dockerfile, "/") ? local.build.dockerfile : "${local.context}/${local.build.dockerfile}"

  # What the builder would send: .dockerignore's rules, of which the last that matches a file decides.
  # A <Dockerfile>.dockerignore wins over the context's own, as it does for BuildKit.
  ignore_file = try([for f in ["${local.dockerfile}.dockerignore", "${local.context}/.dockerignore"] : f if fileexists(f)][0], null)
  ignore_text = local.build == null || local.ignore_file == null ? "" : file(local.ignore_file)
  ignore_rules = [
    for line in [for l in split("\n", local.ignore_text) : trimspace(l)] : {
      negated = startswith(line, "!")
      # Braces are alternatives to fileset, and mere characters to .dockerignore.
      pattern = replace(trim(trimprefix(trimspace(trimprefix(line, "!")), "./"), "/"), "/([{}])/", "[$1]")
    } if line != "" && !startswith(line, "#")
  ]
  ignore_hits = [
    for rule in local.ignore_rules : contains(["", "."], rule.pattern) ? toset([]) : setunion(
      fileset(local.context, rule.pattern), fileset(local.context, "${rule.pattern}/**")
    )
  ]
  last_hit = local.build == null ? {} : {
    for f in fileset(local.context, "**") : f => max(-1, [for i, hits in local.ignore_hits : i if contains(hits, f)]...)
  }
  source_files = sort([for f, i in local.last_hit : f if i < 0 || try(local.ignore_rules[i].negated, false)])

  # Everything that makes another image is in the hash: paths with contents, Dockerfile, arguments, target, platform.
  content_hash = local.build == null ? null : coalesce(local.build.source_hash, sha256(jsonencode({
    files      = { for f in local.source_files : f => filesha256("${local.context}/${f}") }
    dockerfile = try(filesha256(local.dockerfile), null)
  })))
  source_hash = local.build == null ? split("@sha256:", var.image.uri)[1] : sha256(jsonencode({
    content  = local.content_hash
    args     = local.build.args
    platform = local.platform
    target   = local.build.target
  }))

  # The image can tell what it was built from, also where it is promoted to. In the function's environment the hash would make each
  # release a second update of the function, which takes as long as the first.
  build_args = local.build == null ? null : merge({ SOURCE_HASH = local.source_hash }, local.build.args)

  repository_url = one([for repository in aws_ecr_repository.this : (
    var.repository.registry_host == null ? repository.repository_url : "${var.repository.registry_host}/${repository.name}"
  )])
  image_uri = (
    local.build == null
    ? var.image.uri
    : "${local.repository_url}@${docker_registry_image.this[0].sha256_digest}"
  )
}

# A new id for every build. With the hash alone, going back to earlier content would push an earlier tag again, which an
# immutable repository refuses when the rebuilt image has another digest.
resource "terraform_data" "build" {
  count = local.build == null ? 0 : 1

  # The paths and the module's own argument too: a change of theirs makes the provider build again.
  triggers_replace = [local.source_hash, local.context, local.build.dockerfile, local.build.log_file, local.build_args]

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = local.build.source_hash != null || length(local.source_files) > 0
      error_message = "image.build.context (${local.context}) holds no file that its .dockerignore lets through: there is nothing to build."
    }
  }
}

# The registry is all that this resource's state depends on: a fresh runner, a pruned engine or none at all plans no change.
resource "docker_registry_image" "this" {
  count = local.build == null ? 0 : 1

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
