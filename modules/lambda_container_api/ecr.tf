resource "aws_ecr_repository" "this" {
  #checkov:skip=CKV_AWS_136:The caller decides, by repository.kms_key_arn; without it AES-256 with ECR's own key
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

# By count only: expiry by age or by tag state can delete the image that serves.
resource "aws_ecr_lifecycle_policy" "this" {
  repository = aws_ecr_repository.this.name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Keep the newest ${var.repository.images_kept} images, so that a rollback finds its image."
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.repository.images_kept }
      action       = { type = "expire" }
    }]
  })
}

# Lambda adds a statement of this sid by itself when nobody has: owning it keeps the plan empty and the grant narrow.
data "aws_iam_policy_document" "repository" {
  statement {
    sid     = "LambdaECRImageRetrievalPolicy"
    actions = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }

    condition {
      test     = "StringLike"
      variable = "aws:sourceArn"
      values = concat(
        ["${local.lambda_arn_prefix}:${var.name}", "${local.lambda_arn_prefix}:${var.name}:*"],
        [for id in var.repository.pull_account_ids : "arn:${local.partition}:lambda:${local.region}:${id}:function:*"],
      )
    }
  }

  dynamic "statement" {
    for_each = length(var.repository.pull_account_ids) == 0 ? [] : [var.repository.pull_account_ids]

    content {
      sid     = "CrossAccountPull"
      actions = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]

      principals {
        type        = "AWS"
        identifiers = [for id in statement.value : "arn:${local.partition}:iam::${id}:root"]
      }
    }
  }
}

resource "aws_ecr_repository_policy" "this" {
  repository = aws_ecr_repository.this.name
  policy     = data.aws_iam_policy_document.repository.json
}
