# What the image is made of, and the hash that stands for it.
#
# Which files of the context the builder gets is decided here as BuildKit decides it, by moby's patternmatcher: each rule of
# .dockerignore becomes a regular expression, and each run of rules of one sign is asked once about all paths.
# The disk is read by one fileset alone, so that neither rules nor ignored files cost much.

locals {
  build        = var.image.build
  builds       = nonsensitive(var.image.build != null)
  hashes_files = local.builds && nonsensitive(try(local.build.source_hash, null) == null)
  platform     = { arm64 = "linux/arm64", x86_64 = "linux/amd64" }[var.function.architecture]

  # Paths are no secrets, and messages name them.
  context    = local.builds ? nonsensitive(local.build.context) : ""
  log_file   = local.builds ? nonsensitive(local.build.log_file) : null
  dockerfile = !local.builds ? "" : nonsensitive(startswith(local.build.dockerfile, "/") ? local.build.dockerfile : "${local.context}/${local.build.dockerfile}")
  args       = { for name, value in local.builds ? local.build.args : {} : name => value if nonsensitive(value != null) }

  # Everything that makes another image is in the hash: paths with contents, Dockerfile, arguments, target, platform.
  file_hashes = { for f in local.source_files : f => try(filesha256("${local.context}/${f}"), null) }
  content_hash = !local.builds ? null : !local.hashes_files ? local.build.source_hash : sha256(jsonencode({
    files      = local.file_hashes
    dockerfile = try(filesha256(local.dockerfile), null)
  }))
  # One way, so a secret argument stays one.
  source_hash = !local.builds ? nonsensitive(split("@sha256:", var.image.uri)[1]) : nonsensitive(sha256(jsonencode({
    content  = local.content_hash
    args     = local.args
    platform = local.platform
    target   = local.build.target
  })))

  # A <Dockerfile>.dockerignore wins over the context's own, as it does for BuildKit.
  ignore_file = !local.hashes_files ? null : try([for f in ["${local.dockerfile}.dockerignore", "${local.context}/.dockerignore"] : f if fileexists(f)][0], null)
  ignore_text = local.ignore_file == null ? "" : try(file(local.ignore_file), null)

  ignore_lines = [
    for line in split("\n", trimprefix(coalesce(local.ignore_text, "\n"), "\ufeff")) : trimspace(line)
    if !startswith(line, "#") && trimspace(line) != ""
  ]
  # abspath cleans a path. Below a folder that nobody has, so that a path which leaves the context is not one inside of it.
  ignore_cleaned = [
    for path in [for line in local.ignore_lines : trimspace(trimprefix(line, "!"))] :
    path == "" ? "" : trimspace(startswith(path, "/") ? trimprefix(abspath(path), "/") : try(split("/\u0001/", abspath("/\u0001/${path}"))[1], ".."))
  ]
  ignore_rules = [
    for i, line in local.ignore_lines : {
      line    = line
      negated = startswith(line, "!") || startswith(local.ignore_cleaned[i], "!")
      pattern = startswith(line, "!") ? local.ignore_cleaned[i] : trimprefix(local.ignore_cleaned[i], "!")
    }
  ]
  # Text but for a ** at one end.
  ignore_plain = [for rule in local.ignore_rules : can(regex("^(\\*\\*[^*?\\\\\\[\\]]*|[^*?\\\\\\[\\]]*(\\*\\*)?)$", rule.pattern))]
  ignore_tokens = [
    for rule in local.ignore_rules : regexall("(?s)\\\\.|\\[(?:\\\\.|[^\\]\\\\])*\\]|\\*\\*/?|.", rule.pattern)
  ]
  # As patternmatcher translates them, its oddities included: what is text but for a ** at one end is compared as text,
  # where ** is any text; elsewhere ** is any number of whole folders. No path holds \x00, so no match spans two paths.
  ignore_translated = [
    for i, rule in local.ignore_rules : join("", [
      for n, token in local.ignore_tokens[i] :
      local.ignore_plain[i] ? (
        token == "**" ? "[^\\x00]*" : token == "**/" ? "(?:[^\\x00]*/)?" : replace(token, "/[.+()|{}$^]/", "\\$0")
      ) :
      startswith(token, "**") ? n > 0 && n == length(local.ignore_tokens[i]) - 1 ? "[^\\n\\x00]*" : "(?:[^\\n\\x00]*/)?" :
      token == "*" ? "[^/\\x00]*" :
      token == "?" ? "[^/\\x00]" :
      token == "|" ? "[^\\x00]*|[^\\x00]*" :
      token == "^" && n == 0 ? "" :
      startswith(token, "[") ? join("", [
        for c in regexall("(?s)^\\[\\^|\\\\.|.", token) : c == "[^" ? "[^\\x00" : c == "*" ? "[^/\\x00]*" : c == "?" ? "[^/\\x00]" : c
      ]) :
      can(regex("^\\\\[DSW]$", token)) ? "[^\\x00${lower(token)}]" :
      startswith(token, "\\") ? token : replace(token, "/[.+()$]/", "\\$0")
    ])
  ]
  # Docker checks a rule with Go's filepath.Match, and then compiles what it became.
  ignore_refused = [
    for i, rule in local.ignore_rules : rule.line
    if anytrue([
      !can(regex("(?s)^([^\\\\\\[]|\\\\.|\\[(\\^([^\\\\\\]-]|\\\\.)(-([^\\\\\\]-]|\\\\.))?|([^\\\\\\]^-]|\\\\.)(-([^\\\\\\]-]|\\\\.))?)(([^\\\\\\]-]|\\\\.)(-([^\\\\\\]-]|\\\\.))?)*\\])*$", rule.pattern)),
      rule.negated && rule.pattern == "",
      !can(regexall("(?:${local.ignore_translated[i]})", "")),
    ])
  ]

  # fileset fills in wildcards in the folder's name as well. (Both sides of ?: are always evaluated, hence the list of one or none.)
  context_root          = abspath(local.context)
  context_has_wildcards = can(regex("[*?{}\\[\\]\\\\]", local.context))
  listed = !local.hashes_files ? [] : [local.context_has_wildcards ? {
    from = "/", pattern = "${replace(local.context_root, "/[*?{}\\[\\]\\\\]/", "\\$0")}/**", prefix = trimprefix("${local.context_root}/", "/")
    } : {
    from = local.context, pattern = "**", prefix = ""
  }]
  # The log is in the context once the build has begun, so it counts as there.
  log_file_inside = try(local.hashes_files && startswith(abspath(local.log_file), "${local.context_root}/"), false) ? trimprefix(abspath(local.log_file), "${local.context_root}/") : null
  # Text is fast where lists of many are slow, so paths stay text until few are left: each between two \x00, with a slash before it.
  listing = join("", concat(
    [for l in local.listed : replace("\u0000/${join("\u0000\u0000/", fileset(l.from, l.pattern))}\u0000", "\u0000/${l.prefix}", "\u0000/")],
    [for f in [local.log_file_inside] : "\u0000/${f}\u0000" if f != null],
  ))

  # Runs of rules of one sign, the first of which ignores: one that takes back what nothing has ignored yet does nothing.
  ignore_starts = [for i, rule in local.ignore_rules : i if i == 0 ? !rule.negated : rule.negated != local.ignore_rules[i - 1].negated]
  ignore_runs = length(local.ignore_refused) > 0 ? [] : [
    for n, start in local.ignore_starts :
    "(?:${join("|", [for rule in slice(local.ignore_translated, start, try(local.ignore_starts[n + 1], length(local.ignore_rules))) : "(?:${rule})"])})"
  ]
  taking_back = [for n, run in local.ignore_runs : run if n % 2 == 1]

  # What the first run ignores, and none names that takes back, goes at once: "-" in place of a path's slash marks it.
  ignored    = length(local.ignore_runs) == 0 ? local.listing : replace(local.listing, "/\\x00/(${local.ignore_runs[0]}(?:/[^\\x00]*)?)\\x00/", "\u0000-$1\u0000")
  reclaimed  = length(local.taking_back) == 0 ? local.ignored : replace(local.ignored, "/\\x00-((?:${join("|", local.taking_back)})(?:/[^\\x00]*)?)\\x00/", "\u0000/$1\u0000")
  left       = replace(local.reclaimed, "/\\x00-[^\\x00]*\\x00/", "")
  candidates = toset(compact(split("\u0000", replace(local.left, "\u0000/", "\u0000"))))

  # Where something is taken back, order matters. Docker asks its rules about each folder, and then about what is in it.
  folders = { for folder in keys(merge([for f in length(local.taking_back) == 0 ? [] : local.candidates : {
    for n in range(length(split("/", f)) - 1) : join("/", slice(split("/", f), 0, n + 1)) => true
  }]...)) : folder => [for n in range(length(split("/", folder))) : join("/", slice(split("/", folder), 0, n + 1))] }
  paths = join("", concat([local.left], [for folder in keys(local.folders) : "\u0000/${folder}\u0000"]))

  # Runs by number, odd ones ignore: number → all paths that the run names.
  ignore_hits = { for n, run in length(local.taking_back) == 0 ? [] : local.ignore_runs : n + 1 => [
    for hit in regexall("\\x00/(${run})\\x00", local.paths) : hit[0]
  ] }
  # A run marks a path that it names unless what is above or the path itself is of its sign already: so a later rule for a
  # folder takes nothing back below it when the folder was never ignored. Each run needs what the ones before have marked.
  # Terraform has no loop that hands on its result, so the loop is written out, one run around the other, and evaluated.
  ignore_loop = join("", concat(
    ["$${jsonencode("],
    [for n in keys(local.ignore_hits) : "[for marks in ["],
    ["{}"],
    [for n in sort([for n in keys(local.ignore_hits) : format("%06d", n)]) : format(
      "] : merge(marks, { for p in hits[\"%d\"] : p => %d if %d != max(0, [for a in concat(try(folders[dirname(p)], []), [p]) : try(marks[a], 0)]...) %% 2 })][0]", n, n, n % 2
    )],
    [")}"],
  ))
  ignore_marks   = jsondecode(templatestring(local.ignore_loop, { hits = local.ignore_hits, folders = local.folders }))
  ignore_folders = { for folder, above in local.folders : folder => max(0, [for a in above : try(local.ignore_marks[a], 0)]...) }
  sent           = [for f in local.candidates : f if max(try(local.ignore_folders[dirname(f)], 0), try(local.ignore_marks[f], 0)) % 2 == 0]

  source_files = [for f in local.sent : f if f != local.log_file_inside]

  unhashed_files = [for f, hash in local.file_hashes : f if hash == null]
  # Not .terraform.lock.hcl, which changes by terraform init alone.
  terraform_files = [for f in local.sent : f if f == local.log_file_inside || can(regex("(^|/)(\\.terraform/.*|[^/]*\\.tfstate(\\.[^/]*)?|[^/]*tfplan)$", f))]
}
