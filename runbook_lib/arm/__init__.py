"""
Everything that talks to Azure Resource Manager, real or simulated: the only package that imports `azure.*` outside the
sandbox's transport. `session` opens the target, `pipeline` guards and logs every call, `inventory` is the only reader,
`apply` the only writer.
"""
