/**
 * The page for administrators in a browser. It keeps an access token while its tab is open, asks for
 * the view that the address names, and puts it into the page. All that is shown is made by the server.
 */

const tokenKey = 'hansa-admin-token'
const view = /** @type {HTMLElement} */ (document.querySelector('main'))
const entrance = /** @type {HTMLFormElement} */ (document.querySelector('form'))
const complaint = /** @type {HTMLElement} */ (document.querySelector('#complaint'))
const leave = /** @type {HTMLButtonElement} */ (document.querySelector('#leave'))

/** What the address asks for, as a path below `views`. */
function wanted() {
  const address = new URLSearchParams(location.search)
  const [room, event] = [address.get('room'), address.get('event')]
  const query = new URLSearchParams()
  const take = (/** @type {string} */ name, /** @type {string | null} */ value) => {
    if (value !== null) query.set(name, value)
  }
  if (event !== null) {
    take('room_id', room)
    return `events/${encodeURIComponent(event)}?${query}`
  }
  if (room !== null) {
    take('from', address.get('from'))
    take('state_from', address.get('state_from'))
    return `rooms/${encodeURIComponent(room)}?${query}`
  }
  take('after', address.get('after'))
  return address.has('server') ? 'server' : `rooms?${query}`
}

async function show() {
  const token = sessionStorage.getItem(tokenKey)
  entrance.hidden = token !== null
  leave.hidden = token === null
  view.hidden = token === null
  if (token === null) return
  const answer = await fetch(`/_hansa/admin/v1/views/${wanted()}`, {
    headers: { authorization: `Bearer ${token}` },
  })
  if (answer.ok) {
    view.innerHTML = await answer.text()
    document.title = view.querySelector('h1')?.textContent ?? document.title
    // What the address points at was not there when the page was loaded.
    if (location.hash !== '') document.getElementById(location.hash.slice(1))?.scrollIntoView()
    return
  }
  const { errcode, error } = await answer.json()
  const isOver = answer.status === 401 || (answer.status === 403 && errcode === 'M_FORBIDDEN')
  if (isOver) sessionStorage.removeItem(tokenKey)
  if (!isOver) view.textContent = error
  else await showEntrance(error)
}

/** @param {string} why */
async function showEntrance(why) {
  await show()
  complaint.textContent = why
}

/** @param {FormData} given */
async function enter(given) {
  const [user, secret] = [String(given.get('user')), String(given.get('secret'))]
  if (user === '') return sessionStorage.setItem(tokenKey, secret)
  const answer = await fetch('/_matrix/client/v3/login', {
    method: 'POST',
    body: JSON.stringify({
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user },
      password: secret,
      initial_device_display_name: 'Administration',
    }),
  })
  const { access_token: token, error } = await answer.json()
  if (!answer.ok) throw new Error(error)
  sessionStorage.setItem(tokenKey, token)
}

/** Says what went wrong, where it can be seen. */
function complain(/** @type {unknown} */ error) {
  complaint.textContent = error instanceof Error ? error.message : String(error)
}

entrance.addEventListener('submit', (event) => {
  event.preventDefault()
  complaint.textContent = ''
  enter(new FormData(entrance)).then(show).catch(complain)
})

leave.addEventListener('click', () => {
  const token = sessionStorage.getItem(tokenKey)
  sessionStorage.removeItem(tokenKey)
  fetch('/_matrix/client/v3/logout', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  })
    .then(show)
    .catch(complain)
})

show().catch(complain)
