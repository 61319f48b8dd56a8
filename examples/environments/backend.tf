# Partial: the bucket, the key and the lock are in environments/<environment>.s3.tfbackend. A lock file in S3 needs Terraform 1.10 or OpenTofu 1.10.
terraform {
  backend "s3" {}
}
