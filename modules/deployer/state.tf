locals {
  own_bucket  = var.state.existing_bucket == null
  bucket_name = local.own_bucket ? coalesce(var.state.bucket, "${var.name}-state-${local.account_id}-${local.region}") : var.state.existing_bucket.name
  bucket_arn  = "arn:${local.partition}:s3:::${local.bucket_name}"
}

resource "aws_s3_bucket" "state" {
  #checkov:skip=CKV_AWS_18:CloudTrail's data events record who reads and writes states; a log bucket is the account's decision
  #checkov:skip=CKV_AWS_144:A state belongs to resources of one region
  #checkov:skip=CKV2_AWS_62:Nothing reacts to a written state
  count = local.own_bucket ? 1 : 0

  bucket        = local.bucket_name
  force_destroy = var.state.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_versioning" "state" {
  count = local.own_bucket ? 1 : 0

  bucket = aws_s3_bucket.state[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

# Without a key of the caller, the AWS managed key aws/s3: its use is logged, and it costs nothing to keep.
resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  count = local.own_bucket ? 1 : 0

  bucket = aws_s3_bucket.state[0].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.state.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_ownership_controls" "state" {
  count = local.own_bucket ? 1 : 0

  bucket = aws_s3_bucket.state[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  count = local.own_bucket ? 1 : 0

  bucket                  = aws_s3_bucket.state[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "state" {
  count = local.own_bucket ? 1 : 0

  bucket = aws_s3_bucket.state[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 rejects concurrent changes of a bucket's public access block and policy.
  depends_on = [aws_s3_bucket_public_access_block.state]
}

# Each apply writes a version of its state, and of its lock two and a delete marker.
resource "aws_s3_bucket_lifecycle_configuration" "state" {
  count = local.own_bucket ? 1 : 0

  bucket = aws_s3_bucket.state[0].id

  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days           = var.state.noncurrent_days
      newer_noncurrent_versions = 10
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}
