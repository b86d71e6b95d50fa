/** What the evening is made of. A picture's seed is its place in the list. */

/** An artist, and the albums of theirs. */
export const ARTISTS = [
  {
    id: 'ar01',
    name: 'Mira Halden',
    genre: 'Night folk',
    albums: [
      ['al01', 'Low Sun, Long Shadow', 2021],
      ['al02', 'Rooms I Knew', 2023],
    ],
  },
  {
    id: 'ar02',
    name: 'Tobi Adeyemi',
    genre: 'Harbour jazz',
    albums: [
      ['al03', 'Tidewater', 2019],
      ['al04', 'Brass for the Ferry', 2024],
    ],
  },
  { id: 'ar03', name: 'Kofi & the Lamps', genre: 'Soul', albums: [['al05', 'Contour', 2022]] },
  { id: 'ar04', name: 'Lys Arvedsen', genre: 'Ambient', albums: [['al06', 'Three Greens', 2020]] },
  {
    id: 'ar05',
    name: 'Nora Vance',
    genre: 'Synth pop',
    albums: [
      ['al07', 'Equal Parts', 2022],
      ['al08', 'Ribbon', 2025],
    ],
  },
  { id: 'ar06', name: 'Sol Okada', genre: 'City pop', albums: [['al09', 'Afterglow Line', 1987]] },
  { id: 'ar07', name: 'Dr. Amara Finch', genre: 'Electronica', albums: [['al10', 'Tiles', 2018]] },
  { id: 'ar08', name: 'Jonas Wilde', genre: 'Indie rock', albums: [['al11', 'Second Shore', 2024]] },
  { id: 'ar09', name: 'Ayo Bell', genre: 'Neo soul', albums: [['al12', 'Turning Wood', 2021]] },
  { id: 'ar10', name: 'Petra Lind', genre: 'Piano', albums: [['al13', 'Isobar', 2023]] },
  { id: 'ar11', name: 'Marlow', genre: 'Songwriter', albums: [['al14', 'Ink & Peach', 2020]] },
  {
    id: 'ar12',
    name: 'Theo Brandt',
    genre: 'House',
    albums: [
      ['al15', 'Signal Blue', 2025],
      ['al16', 'Violet Drift', 2026],
    ],
  },
] as const

/** Playlists; each takes albums by id. */
export const PLAYLISTS = [
  {
    id: 'pl01',
    name: 'Golden hour',
    about: 'For the last light on the wall.',
    albums: ['al01', 'al09', 'al03', 'al12'],
  },
  {
    id: 'pl02',
    name: 'Slow kitchen',
    about: 'Onions, wine, no hurry.',
    albums: ['al04', 'al05', 'al14', 'al02'],
  },
  {
    id: 'pl03',
    name: 'Window seat',
    about: 'Rain outside, lamp inside.',
    albums: ['al06', 'al13', 'al11', 'al16'],
  },
  {
    id: 'pl04',
    name: 'Late and loud',
    about: 'The neighbours are away.',
    albums: ['al15', 'al10', 'al07', 'al08'],
  },
  {
    id: 'pl05',
    name: 'One more record',
    about: 'You said that an hour ago.',
    albums: ['al16', 'al02', 'al12', 'al05'],
  },
] as const

/** Films; at the pretend TMDb, `{id}p.jpg` is the poster and `{id}b.jpg` the backdrop. */
export const FILMS = [
  {
    id: 'fi01',
    title: 'The Ember Line',
    year: 2023,
    minutes: 112,
    about: 'A fire lookout hears a voice on a frequency that closed forty years ago.',
  },
  {
    id: 'fi02',
    title: 'Tower Hours',
    year: 2021,
    minutes: 98,
    about: 'Two night cleaners run a radio station from the roof of a bank.',
  },
  {
    id: 'fi03',
    title: 'The Patient Boat',
    year: 2018,
    minutes: 121,
    about: 'A ferryman’s daughter comes back to sell the boat, and cannot.',
  },
  {
    id: 'fi04',
    title: 'Ringlight',
    year: 2025,
    minutes: 134,
    about: 'The last surveyor of a far moon keeps sending postcards home.',
  },
  {
    id: 'fi05',
    title: 'A Field of Ash and Rose',
    year: 2020,
    minutes: 105,
    about: 'A walk across one country, in one day, after one letter.',
  },
  {
    id: 'fi06',
    title: 'Route Green',
    year: 2022,
    minutes: 89,
    about: 'Three brothers, one van, and a road that is not on the map.',
  },
  {
    id: 'fi07',
    title: 'Red Timber',
    year: 2019,
    minutes: 117,
    about: 'Something in the forest has learnt to answer when it is called.',
  },
  {
    id: 'fi08',
    title: 'Magenta District',
    year: 2024,
    minutes: 101,
    about: 'A detective who cannot see red takes the case nobody else can.',
  },
  {
    id: 'fi09',
    title: 'Violet Harbour',
    year: 2017,
    minutes: 94,
    about: 'The summer the sea stayed purple, and what it left behind.',
  },
  {
    id: 'fi10',
    title: 'Blue Giant, Small Room',
    year: 2026,
    minutes: 126,
    about: 'An astronomer raises a child and a question at the same time.',
  },
] as const
