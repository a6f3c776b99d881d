"""The reviewer's pages: server-rendered, readable without JavaScript, silent about the panel until it may be seen."""
