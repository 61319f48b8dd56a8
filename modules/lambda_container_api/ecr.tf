# Only for images built here: an image by `uri` has its repository elsewhere.
locals {
  own_repository = local.builds && nonsensitive(var.repository.existing == null)
}

resource "aws_ecr_repository" "this" {
  #checkov:skip=CKV_AWS_136:The caller decides, by repository.kms_key_arn; without it AES-256 with ECR's own key
  count = local.own_repository ? 1 : 0

  name                 = var.name
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.repository.force_delete

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = var.repository.kms_key_arn == null ? "AES256" : "KMS"
    kms_key         = var.repository.kms_key_arn
  }

  tags = var.tags
}

# By count only: expiry by age or tag status could delete the image that serves.
resource "aws_ecr_lifecycle_policy" "this" {
  count = length(aws_ecr_repository.this)

  repository = aws_ecr_repository.this[0].name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Keep the newest ${var.repository.images_kept} images, so that a rollback finds its image."
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.repository.images_kept }
      action       = { type = "expire" }
    }]
  })
}

locals {
  pull_account_ids = [for id in var.repository.pull_account_ids : id if id != null]

  repository_statements = {
    # Lambda adds a statement with this Sid if there is none: owning it keeps the plan empty. Like Lambda's own, it lets
    # every function of the account pull, so that an image can be promoted under another name.
    LambdaECRImageRetrievalPolicy = [{
      Sid       = "LambdaECRImageRetrievalPolicy"
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Condition = { StringLike = {
        "aws:sourceArn" = [for id in distinct(concat([local.account_id], local.pull_account_ids)) : "arn:${local.partition}:lambda:${local.region}:${id}:function:*"]
      } }
    }]
    CrossAccountPull = [for ids in [local.pull_account_ids] : {
      Sid       = "CrossAccountPull"
      Effect    = "Allow"
      Principal = { AWS = [for id in ids : "arn:${local.partition}:iam::${id}:root"] }
      Action    = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    } if length(ids) > 0]
  }
}

resource "aws_ecr_repository_policy" "this" {
  count = length(aws_ecr_repository.this)

  repository = aws_ecr_repository.this[0].name
  policy     = jsonencode({ Version = "2012-10-17", Statement = flatten(values(local.repository_statements)) })
}
