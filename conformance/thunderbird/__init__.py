"""Mozilla Thunderbird against the server, headless, driven through Marionette.

`driver` starts it and plays the scenario; `application` is the process and its JavaScript; the steps are in
`setting_up`, `editing`, `syncing` and `inviting`; the `.js` files run in Thunderbird's privileged context.
"""
