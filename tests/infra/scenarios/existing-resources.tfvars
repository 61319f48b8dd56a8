name        = "orders"
image       = { build = { context = "app" } }
auth        = { iam = {} }
repository  = { existing = { url = "000000000000.dkr.ecr.eu-central-1.amazonaws.com/team/orders" } }
permissions = { existing_role = { arn = "arn:aws:iam::000000000000:role/services/orders" } }
function = {
  tracing = true
  vpc     = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] }
}
logs   = { class = "INFREQUENT_ACCESS" }
alarms = { off = ["memory"] }
