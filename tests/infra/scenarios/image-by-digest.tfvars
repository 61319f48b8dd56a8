name  = "orders"
image = { uri = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/orders@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
auth  = { iam = {} }
